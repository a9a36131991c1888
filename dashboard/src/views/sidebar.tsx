/** The frame's left side: project, views, and the state of the live link, account and theme. */
import { useState, type ReactElement } from 'react';
import type { ProjectAnswer } from '../../../src/api/control/projects.ts';
import type { SessionAnswer } from '../../../src/api/control/sessions.ts';
import { age } from '../format.ts';
import type { Live } from '../live.ts';
import { StateMark } from '../parts/marks.tsx';
import { words } from '../words.ts';

type Theme = 'system' | 'light' | 'dark';

function storedTheme(): Theme {
  const stored = localStorage.getItem('xim-theme');
  return stored === 'light' || stored === 'dark' ? stored : 'system';
}

function applyTheme(theme: Theme): void {
  localStorage.setItem('xim-theme', theme);
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  document.documentElement.dataset.theme = theme === 'system' ? (dark ? 'dark' : 'light') : theme;
}

function ThemeSwitch(): ReactElement {
  const [theme, setTheme] = useState(storedTheme);
  return (
    <select
      aria-label={words.theme.label}
      value={theme}
      onChange={(event) => {
        const next = event.target.value as Theme;
        setTheme(next);
        applyTheme(next);
      }}
    >
      <option value="system">{words.theme.system}</option>
      <option value="light">{words.theme.light}</option>
      <option value="dark">{words.theme.dark}</option>
    </select>
  );
}

export function Sidebar(props: {
  session: SessionAnswer;
  project: ProjectAnswer;
  live: Live;
  onSignOut: () => void;
}): ReactElement {
  const { live, project, session } = props;
  const up = live.link === 'live' && !live.stale;
  return (
    <div className="sidebar">
      <div className="brand">
        <svg width="18" height="18" viewBox="0 0 16 16" aria-hidden="true">
          <rect width="16" height="16" rx="3" />
          <path d="M3.5 5 6.8 8 3.5 11M8 8h4.5" fill="none" strokeWidth="1.6" />
        </svg>
        {words.product}
      </div>
      <div className="project">
        {project.name} <span>{project.role}</span>
      </div>
      <nav aria-label={words.product}>
        <a href="/ui/" aria-current="page">
          {words.overview}
        </a>
      </nav>
      <div className="foot">
        <div className="live">
          <StateMark
            state={up ? 'active' : 'disconnected'}
            word={up ? words.live.on : words.live.off}
          />
          <span className="quiet">
            {live.receivedAt !== null && words.live.ago(age(+live.now - +live.receivedAt))}
          </span>
        </div>
        <div className="account">
          <span>{session.user.email}</span>
          <ThemeSwitch />
        </div>
        <div>
          <button type="button" className="link-button" onClick={props.onSignOut}>
            {words.signOut}
          </button>
        </div>
      </div>
    </div>
  );
}
