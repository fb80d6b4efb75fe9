// Reads a gzipped tar archive into memory.
// Not a general tool: regular files with ustar and GNU long names, which is what the test archives have.
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/** File contents by path, without a leading `./`. */
export function readTarGz(path: string): Map<string, Uint8Array> {
  const bytes = gunzipSync(readFileSync(path));
  const files = new Map<string, Uint8Array>();
  const text = (at: number, length: number) => bytes.toString('utf8', at, at + length).replace(/\0[^]*$/, '');
  let longName: string | undefined;
  for (let at = 0; at + 512 <= bytes.length;) {
    const short = text(at, 100);
    if (short === '') break;
    const size = parseInt(text(at + 124, 12), 8);
    const kind = text(at + 156, 1);
    const prefix = text(at + 257, 5) === 'ustar' && text(at + 263, 2) === '00' ? text(at + 345, 155) : '';
    const name = longName ?? (prefix === '' ? short : `${prefix}/${short}`);
    longName = kind === 'L' ? text(at + 512, size) : undefined;
    if (kind === '0' || kind === '')
      files.set(name.replace(/^\.\//, ''), new Uint8Array(bytes.subarray(at + 512, at + 512 + size)));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}
