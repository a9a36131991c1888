// Sets the theme before the first paint. A file of its own, because the security policy forbids
// inline scripts. `system` follows the machine; the choice is kept per browser.
(function () {
  let choice = 'system';
  try {
    choice = localStorage.getItem('xim-theme') || 'system';
  } catch {
    // Storage may be forbidden: the system's theme is a good answer then.
  }
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const theme = choice === 'system' ? (dark ? 'dark' : 'light') : choice;
  document.documentElement.dataset.theme = theme;
})();
