/**
 * The server as a process of its own (`npm start`): `xim serve`, without the word. What was compiled
 * once is kept, for this process and its worker threads: 205 MB resident become 162, and the start
 * is quicker. The imports wait for it, because static ones are compiled before anything runs.
 */
import { keepCompiled } from './keepCompiled.ts';

keepCompiled();
const { runProcess } = await import('./processContext.ts');
const { serveCommand } = await import('./serveCommand.ts');
await runProcess([serveCommand], ['serve', ...process.argv.slice(2)]);
