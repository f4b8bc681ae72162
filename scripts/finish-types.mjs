// Gives the relative imports of dist/types their endings: TypeScript's `nodenext` resolution wants them in declarations.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = 'dist/types';
for (const entry of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
  if (!entry.endsWith('.d.ts')) continue;
  const file = join(root, entry);
  const text = readFileSync(file, 'utf8');
  const finished = text.replace(/(from |import\()'(\.{1,2}\/[^']*)'/g, (whole, before, path) => {
    const target = join(dirname(file), path);
    if (existsSync(`${target}.d.ts`)) return `${before}'${path}.js'`;
    if (existsSync(join(target, 'index.d.ts'))) return `${before}'${path}/index.js'`;
    return whole;
  });
  if (finished !== text) writeFileSync(file, finished);
}
