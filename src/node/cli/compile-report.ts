// The compile report as people read it: a table of layers, the host's operators with their reasons, sums.
// Not the estimate: compiler/report makes it.
import { type LayerEstimate, type ProgramReport, shortName } from '../../compiler/index.js';
import { columns } from './columns.js';
import { bytes, count, percent, time } from './format.js';
import type { CommandIo } from './io.js';

/** Most characters of a node's name. */
const NAME = 28;

export function reportText(report: ProgramReport, io: CommandIo): string {
  const { colours } = io;
  const { name, target, totals, clockMhz, segments, host } = report;
  let text = `${colours.bold(name)} for ${target}\n`;
  for (const [index, { layers, memory }] of segments.entries()) {
    const of = segments.length > 1 ? `part ${index + 1} of ${segments.length}: ` : '';
    text += `\n${colours.dim(`${of}${memoryText(memory)}`)}\n`;
    text += layerTable(layers, io);
  }
  for (const { node, operator, reason } of host)
    text += `${colours.dim(`host: ${operator} "${node}": ${reason}`)}\n`;
  if (totals.layers === 0) return `${text}nothing is on the device\n`;
  const zeros = totals.hardwareMacs > 0 ? 1 - totals.macs / totals.hardwareMacs : 0;
  text += `
${count(totals.layers)} layers, ${count(totals.macs)} MACs (${count(totals.hardwareMacs)} in hardware, ${percent(Math.max(0, zeros))} of them zeros), ${bytes(totals.read)} read, ${bytes(totals.write)} written
${colours.bold(`${time(totals.ns)} per inference, ${perSecond(totals.framesPerSecond)} per second`)} at ${clockMhz} MHz: ${count(totals.cycles)} cycles (${count(totals.serialCycles)} one layer after the other), ${percent(totals.shareOfPeak)} of ${count(totals.peakMacs)} MACs per cycle
${colours.dim('An estimate, of the device alone: without software and what the host computes.')}
`;
  return text;
}

function memoryText(memory: Readonly<Record<string, number>>): string {
  const names: Readonly<Record<string, string>> = {
    constant: 'constants and layers',
    scratch: 'intermediates',
    input: 'inputs',
    output: 'outputs',
    descriptor: 'descriptors',
  };
  return Object.entries(memory)
    .map(([role, size]) => `${names[role] ?? role} ${bytes(size)}`)
    .join(', ');
}

/** Columns that only some targets have, by the names of a layer's details. */
const details: readonly {
  readonly head: string;
  cell(layer: LayerEstimate): string;
  readonly right?: true;
}[] = [
  { head: 'kernel', cell: ({ detail }) => windowText(detail) },
  { head: 'type', cell: ({ precision }) => precision },
  {
    head: 'banks',
    cell: ({ detail }) =>
      detail['dataBanks'] === undefined ? '' : `${detail['dataBanks']}+${detail['weightBanks']}`,
    right: true,
  },
  { head: 'weights', cell: ({ detail }) => String(detail['weights'] ?? '') },
  { head: 'groups', cell: ({ detail }) => String(detail['kernelGroups'] ?? ''), right: true },
  { head: 'split', cell: ({ detail }) => splitText(detail) },
  { head: 'MACs', cell: ({ macs }) => (macs === 0 ? '' : count(macs)), right: true },
  {
    head: 'zeros',
    cell: ({ macs, hardwareMacs }) =>
      hardwareMacs === 0 || macs >= hardwareMacs ? '' : percent(1 - macs / hardwareMacs),
    right: true,
  },
  { head: 'read', cell: ({ read }) => bytes(read), right: true },
  { head: 'written', cell: ({ write }) => bytes(write), right: true },
  {
    head: 'CV-SRAM',
    cell: ({ sramRead, sramWrite }) => (sramRead + sramWrite === 0 ? '' : bytes(sramRead + sramWrite)),
    right: true,
  },
  { head: 'cycles', cell: ({ cycles }) => count(cycles), right: true },
  { head: 'bound by', cell: ({ bound }) => bound },
];

function layerTable(layers: readonly LayerEstimate[], io: CommandIo): string {
  const shown = details.filter(({ cell }) => layers.some((layer) => cell(layer) !== ''));
  const head = ['', 'unit', 'operator', 'in', 'out', ...shown.map(({ head }) => head)];
  const rows = runsOf(layers).map(({ layer, last }) => [
    last === layer.index ? String(last) : `${layer.index}-${last}`,
    layer.unit,
    clip(layer.nodes.map(shortName).join('+')),
    layer.input.join('x'),
    layer.output.join('x'),
    ...shown.map(({ cell }) => cell(layer)),
  ]);
  const right = [0, ...shown.flatMap(({ right }, i) => (right === true ? [5 + i] : []))];
  return columns(head, rows, { right, colours: io.colours });
}

/** Layers, neighbours that differ in nothing as one with their sums. */
function runsOf(layers: readonly LayerEstimate[]): { layer: LayerEstimate; last: number }[] {
  const runs: { layer: LayerEstimate; last: number; key: string }[] = [];
  for (const layer of layers) {
    const { unit, nodes, input, output, detail, bound } = layer;
    const key = JSON.stringify([unit, nodes, input, output, detail, bound]);
    const run = runs.at(-1);
    if (run?.key !== key) runs.push({ layer, last: layer.index, key });
    else {
      const sums = (
        ['macs', 'hardwareMacs', 'read', 'write', 'sramRead', 'sramWrite', 'cycles'] as const
      ).map((name) => [name, run.layer[name] + layer[name]] as const);
      run.layer = { ...run.layer, ...Object.fromEntries(sums) };
      run.last = layer.index;
    }
  }
  return runs;
}

function windowText(detail: LayerEstimate['detail']): string {
  const { kernel, stride, method, size, pool } = detail;
  if (size !== undefined) return `over ${size}`;
  const behind = pool === undefined ? '' : `, ${pool}`;
  if (kernel === undefined) return behind.slice(2);
  const step = stride === undefined || stride === '1x1' ? '' : ` /${stride}`;
  return `${method === undefined ? '' : `${method} `}${kernel}${step}${behind}`;
}

function splitText({ tile, block }: LayerEstimate['detail']): string {
  return [tile === undefined ? '' : `tile ${tile}`, block === undefined ? '' : `block ${block}`]
    .filter((part) => part !== '')
    .join(' ');
}

function clip(name: string): string {
  return name.length <= NAME ? name : `…${name.slice(1 - NAME)}`;
}

function perSecond(frames: number): string {
  return frames >= 100 ? String(Math.floor(frames)) : frames.toPrecision(3);
}
