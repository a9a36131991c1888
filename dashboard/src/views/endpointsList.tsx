/** The project's endpoints with their base URLs: what a client needs, ready to copy. */
import type { ReactElement } from 'react';
import type { EndpointAnswer } from '../../../src/api/control/endpoints.ts';
import { count } from '../format.ts';
import { CopyButton } from '../parts/copyButton.tsx';
import { words } from '../words.ts';

const { columns } = words.endpoints;

export function EndpointsList({ endpoints }: { endpoints: EndpointAnswer[] }): ReactElement {
  return (
    <section className="section" aria-labelledby="endpoints">
      <header>
        <h2 id="endpoints">{words.endpoints.title}</h2>
      </header>
      <table>
        <thead>
          <tr>
            <th>{columns.name}</th>
            <th>{columns.tier}</th>
            <th className="number">{columns.ready}</th>
            <th className="number">{columns.waiting}</th>
          </tr>
        </thead>
        <tbody>
          {endpoints.map((endpoint) => (
            <tr key={endpoint.id}>
              <td className="name mono" title={endpoint.model}>
                {endpoint.slug}
              </td>
              <td>{words.tiers[endpoint.tier] ?? endpoint.tier}</td>
              <td className="number">{count(endpoint.agents_ready)}</td>
              <td className="number">{count(endpoint.waiting)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {endpoints.map((endpoint) => (
        <div key={endpoint.id} style={{ marginTop: 12 }}>
          <div className="quiet" style={{ fontSize: 12 }}>
            <span className="mono">{endpoint.slug}</span>,{' '}
            <span className="mono">{endpoint.model}</span>,{' '}
            {endpoint.fallback.enabled ? words.endpoints.fallbackOn : words.endpoints.fallbackOff}
          </div>
          <div className="code" style={{ display: 'flex', gap: 8, alignItems: 'center' }}>
            <span style={{ flex: 1 }}>{endpoint.base_url}</span>
            <CopyButton text={endpoint.base_url} />
          </div>
        </div>
      ))}
    </section>
  );
}
