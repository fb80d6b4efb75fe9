// Holds every import of src/ to the table of layers: who may know whom.
// Not a style check: it reads import statements as text and resolves relative paths only.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { root } from '../support/shared.js';

/** What each layer may import. `$` stands for the layer's own ip name (nvdla, gna ...). */
const table: Record<string, { may: string[]; packages?: string[] }> = {
  base: { may: [] },
  abi: { may: ['base'] },
  hw: { may: ['base'] },
  bus: { may: ['base'] },
  core: { may: ['base', 'abi'] },
  policy: { may: ['core', 'base'] },
  'drivers/$': { may: ['core', 'bus/device', 'abi/$', 'hw/$', 'base'] },
  'devices/$': { may: ['bus/port', 'hw/$', 'base'] },
  machine: { may: ['bus', 'hw', 'core', 'drivers', 'devices', 'policy', 'base'] },
  testing: { may: ['base', 'abi', 'hw', 'bus', 'core', 'machine'] },
  compiler: { may: ['base', 'hw'], packages: ['@bufbuild/protobuf'] },
  runtime: { may: ['abi', 'compiler', 'base', 'core/accel-file'] },
};
const everything = new Set(['node', 'web']);
const source = join(root, 'src');

interface Import {
  readonly file: string;
  readonly target: string;
}

function imports(): Import[] {
  const found: Import[] = [];
  for (const entry of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
    if (!entry.endsWith('.ts')) continue;
    const text = readFileSync(join(source, entry), 'utf8');
    for (const match of text.matchAll(
      /(?:^|\n)\s*(?:import|export)\b[^;'"]*?from\s*['"]([^'"]+)['"]|import\s*\(\s*['"]([^'"]+)['"]|(?:^|\n)\s*import\s*['"]([^'"]+)['"]/g,
    )) {
      found.push({ file: entry, target: (match[1] ?? match[2] ?? match[3])! });
    }
  }
  return found;
}

function layerOf(path: string): { layer: string; ip: string } {
  const [first, second] = path.split('/');
  return first === 'drivers' || first === 'devices'
    ? { layer: `${first}/$`, ip: second! }
    : { layer: first!, ip: '' };
}

/** The reason why this import is not allowed, or undefined. */
export function violation({ file, target }: Import): string | undefined {
  const { layer, ip } = layerOf(file);
  if (everything.has(layer)) return undefined;
  const rule = table[layer];
  if (rule === undefined) return `${file}: folder ${layer} is not in the table`;
  if (!target.startsWith('.')) {
    const allowed = rule.packages?.some((name) => target === name || target.startsWith(`${name}/`));
    return allowed ? undefined : `${file}: imports package ${target}`;
  }
  const to = relative(source, resolve(dirname(join(source, file)), target)).replace(/\.js$/, '');
  if (to.startsWith('..')) return `${file}: imports ${target}, outside src/`;
  const own = layer.replace('$', ip);
  if (to === own || to.startsWith(`${own}/`)) return undefined;
  const ok = rule.may.some((entry) => {
    const place = entry.replace('$', ip);
    return to === place || to.startsWith(`${place}/`);
  });
  return ok ? undefined : `${file}: imports ${to}; ${layer} may import ${rule.may.join(', ') || 'nothing'}`;
}

describe('the import table', () => {
  it('finds imports at all', () => assert.ok(imports().length > 20));

  it('names a breach when there is one', () => {
    assert.match(
      violation({ file: 'core/file.ts', target: '../bus/device.js' })!,
      /core may import base, abi/,
    );
    assert.match(
      violation({ file: 'drivers/nvdla/driver.ts', target: '../../devices/nvdla/front.js' })!,
      /drivers/,
    );
    assert.match(violation({ file: 'core/file.ts', target: 'node:fs' })!, /package node:fs/);
    assert.match(violation({ file: 'drivers/nvdla/driver.ts', target: '../../bus/port.js' })!, /bus\/device/);
  });

  it('is kept by every file of src/', () => {
    assert.deepEqual(
      imports()
        .map(violation)
        .filter((breach) => breach !== undefined),
      [],
    );
  });
});
