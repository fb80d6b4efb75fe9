// The timeline of a report as SVG: units are lanes, layers are bars, coloured by what holds them up.
// Not a layout for any number of layers: what is too narrow for a name shows it to the mouse only.
import type { LayerEstimate, ProgramReport } from './report.js';
import { unitsOf } from './timeline.js';

const WIDTH = 960;
const LEFT = 74;
const RIGHT = 30;
const TOP = 58;
const LANE = 40;
const BAR = 28;
const BELOW = 62;
/** Of a character of the names, in pixels, on the safe side. */
const CHARACTER = 6.2;

/** Lanes in the order of the pipe; others below. */
const ORDER = ['CONV', 'SDP', 'PDP', 'CDP', 'RUBIK', 'BDMA'];

const colours: Readonly<Record<string, { fill: string; line: string }>> = {
  compute: { fill: '#dbe8fb', line: '#4a6fa5' },
  DRAM: { fill: '#fdebd2', line: '#c07c2a' },
  'CV-SRAM': { fill: '#eee5fa', line: '#7a5ba5' },
  memory: { fill: '#fdebd2', line: '#c07c2a' },
  descriptor: { fill: '#e9ecf1', line: '#6b778c' },
};
const meanings: Readonly<Record<string, string>> = {
  compute: 'as fast as its units',
  DRAM: 'waits for DRAM',
  'CV-SRAM': 'waits for CV-SRAM',
  memory: 'waits for memory',
  descriptor: 'waits for its descriptor',
};

/** A whole SVG document. */
export function pictureOf(report: ProgramReport): string {
  const placed = sequence(report);
  const lanes = lanesOf(placed.map(({ layer }) => layer));
  const total = report.totals.cycles;
  const height = TOP + lanes.length * LANE + BELOW;
  const scale = (WIDTH - LEFT - RIGHT) / Math.max(1, total);
  const x = (cycles: number): number => LEFT + cycles * scale;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="Helvetica, Arial, sans-serif" role="img" aria-label="${escape(`Layers of ${report.name} over time`)}">`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    text(LEFT, 24, `${report.name} on ${report.target}`, { size: 15, weight: 600 }),
    text(LEFT, 42, summary(report), { size: 12, fill: '#42526b' }),
    ...lanes.map((name, i) => laneOf(name, TOP + i * LANE)),
    ...ticks(total, report.clockMhz).map(({ at, label }) => tick(x(at), TOP, lanes.length * LANE, label)),
  ];
  for (const { layer, from } of placed)
    for (const unit of unitsOf(layer)) parts.push(bar(layer, x(from), scale, lanes.indexOf(unit)));
  const bounds = [...new Set(placed.map(({ layer }) => layer.bound))].sort();
  parts.push(...legend(bounds, height - 14), '</svg>');
  return `${parts.join('\n')}\n`;
}

/** Layers of all segments, one segment after the other; `from` in cycles from the first one's start. */
function sequence({ segments }: ProgramReport): { layer: LayerEstimate; from: number }[] {
  let before = 0;
  return segments.flatMap(({ layers, cycles }) => {
    const placed = layers.map((layer) => ({ layer, from: before + layer.start }));
    before += cycles;
    return placed;
  });
}

function lanesOf(layers: readonly LayerEstimate[]): string[] {
  const names = [...new Set(layers.flatMap(unitsOf))];
  const rank = (name: string): number => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  return names.sort((a, b) => rank(a) - rank(b));
}

function summary({ totals, clockMhz, host }: ProgramReport): string {
  const { layers, cycles, ns, framesPerSecond, shareOfPeak } = totals;
  const onHost =
    host.length === 0 ? '' : `, ${host.length} operator${host.length === 1 ? '' : 's'} on the host`;
  return `${layers} layers${onHost}; estimated ${cycles} cycles, ${microseconds(ns / 1000)} at ${clockMhz} MHz, ${Math.floor(framesPerSecond)} inferences per second, ${(shareOfPeak * 100).toFixed(1)} % of peak`;
}

function laneOf(name: string, y: number): string {
  const line = `<line x1="${LEFT}" y1="${y + LANE}" x2="${WIDTH - RIGHT}" y2="${y + LANE}" stroke="#e3e7ee"/>`;
  return line + text(LEFT - 10, y + LANE / 2 + 4, name, { size: 12, weight: 600, anchor: 'end' });
}

function tick(x: number, y: number, height: number, label: string): string {
  const line = `<line x1="${fixed(x)}" y1="${y}" x2="${fixed(x)}" y2="${y + height}" stroke="#eef1f6"/>`;
  return line + text(x, y + height + 16, label, { size: 11, fill: '#42526b', anchor: 'middle' });
}

function bar(layer: LayerEstimate, x: number, scale: number, lane: number): string {
  const width = Math.max(0.6, (layer.end - layer.start) * scale);
  const y = TOP + lane * LANE + (LANE - BAR) / 2;
  const { fill, line } = colours[layer.bound] ?? colours['descriptor']!;
  const shown = label(layer, width);
  const title = `<title>${escape(tooltip(layer))}</title>`;
  return (
    `<g><rect x="${fixed(x)}" y="${y}" width="${fixed(width)}" height="${BAR}" rx="${width > 6 ? 3 : 0}" fill="${fill}" stroke="${line}" stroke-width="0.8">${title}</rect>` +
    (shown === ''
      ? ''
      : text(x + width / 2, y + BAR / 2 + 4, shown, { size: 11, anchor: 'middle', quiet: true })) +
    '</g>'
  );
}

/** The name where there is room for all of it, else the layer's number, else nothing. */
function label({ nodes, index }: LayerEstimate, width: number): string {
  const name = shortName(nodes[0] ?? '');
  for (const candidate of [name, String(index)])
    if (candidate.length * CHARACTER + 6 <= width) return candidate;
  return '';
}

/** What a person calls a node: the last part of its path. */
export function shortName(node: string): string {
  const parts = node.split(/[/;]/).filter((part) => part !== '');
  return parts.at(-1) ?? node;
}

function tooltip({ index, unit, nodes, input, output, cycles, bound, read, write }: LayerEstimate): string {
  return `${index}: ${unit} ${nodes.join(', ')}\n${input.join('x')} -> ${output.join('x')}\n${cycles} cycles, bound by ${bound}\n${read} bytes read, ${write} written`;
}

function legend(bounds: readonly string[], y: number): string[] {
  let x = LEFT;
  return bounds.map((bound) => {
    const { fill, line } = colours[bound] ?? colours['descriptor']!;
    const said = meanings[bound] ?? bound;
    const part =
      `<rect x="${fixed(x)}" y="${y - 10}" width="14" height="12" rx="2" fill="${fill}" stroke="${line}" stroke-width="0.8"/>` +
      text(x + 20, y, said, { size: 11, fill: '#42526b' });
    x += 46 + said.length * CHARACTER;
    return part;
  });
}

/** Round times, about eight of them. */
function ticks(cycles: number, clockMhz: number): { at: number; label: string }[] {
  const us = cycles / clockMhz;
  if (us === 0) return [];
  const rough = us / 8;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough)!;
  const count = Math.floor(us / step);
  return Array.from({ length: count + 1 }, (_, i) => ({
    at: i * step * clockMhz,
    label: microseconds(i * step),
  }));
}

function microseconds(us: number): string {
  const [value, unit] = us >= 1000 ? [us / 1000, 'ms'] : [us, 'us'];
  return `${Number(value.toPrecision(3))} ${unit}`;
}

interface TextStyle {
  readonly size: number;
  readonly weight?: number;
  readonly fill?: string;
  readonly anchor?: 'middle' | 'end';
  /** The mouse reaches what is below. */
  readonly quiet?: boolean;
}

function text(x: number, y: number, value: string, style: TextStyle): string {
  const { size, weight, fill = '#1b2a41', anchor, quiet = false } = style;
  return `<text x="${fixed(x)}" y="${fixed(y)}"${anchor === undefined ? '' : ` text-anchor="${anchor}"`} font-size="${size}"${weight === undefined ? '' : ` font-weight="${weight}"`} fill="${fill}"${quiet ? ' pointer-events="none"' : ''}>${escape(value)}</text>`;
}

function fixed(value: number): string {
  return String(Number(value.toFixed(2)));
}

function escape(value: string): string {
  return value.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/"/g, '&quot;');
}
