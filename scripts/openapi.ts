/** `npm run openapi`: writes `docs/openapi.json`, from which clients can be made. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { openApiDocument } from '../src/api/openapi/openApiDocument.ts';

const file = path.join(import.meta.dirname, '..', 'docs', 'openapi.json');
writeFileSync(file, `${JSON.stringify(openApiDocument(), null, 1)}\n`);
process.stdout.write('docs/openapi.json written\n');
