/** The server as a process of its own (`npm start`): `xim serve`, without the word. */
import { runProcess } from './process/processContext.ts';
import { serveCommand } from './server/serveCommand.ts';

await runProcess([serveCommand], ['serve', ...process.argv.slice(2)]);
