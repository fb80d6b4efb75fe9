// What a compiled program is made of and what it would cost: its layers, its host operators with their reasons, sums.
// Not a measurement, and not text: the command line prints it, picture.ts draws it.
import {
  type GnaGeneration,
  gnaConfigs,
  gnaCycles,
  BYTES_PER_CYCLE,
  peakGnaMacs,
} from '../../hw/gna/index.js';
import { configs, type ConfigName, memorySystem, peakMacs, silicon } from '../../hw/nvdla/index.js';
import type { CompiledProgram, DeviceSegment, LayerReport, Placement } from '../targets/program.js';
import { type MemoryRates, type Span, timeline } from './timeline.js';

/** A layer, and what it takes. Cycles are of the layer by itself; start and end are cycles from the segment's start. */
export interface LayerEstimate extends Omit<LayerReport, 'cost'>, Span {
  /** Bytes through both memory ports, and those of the second (CV-SRAM). */
  readonly read: number;
  readonly write: number;
  readonly sramRead: number;
  readonly sramWrite: number;
  readonly cycles: number;
  /** What takes them: `compute`, `DRAM`, `CV-SRAM`; of GNA `compute`, `memory`, `descriptor`. */
  readonly bound: string;
}

export interface SegmentEstimate {
  readonly layers: readonly LayerEstimate[];
  /** From the first layer's start to the last one's end. */
  readonly cycles: number;
  /** Bytes of memory by role: constants, intermediates, inputs, outputs, descriptors. */
  readonly memory: Readonly<Record<string, number>>;
}

export interface ProgramReport {
  readonly name: string;
  readonly target: string;
  readonly clockMhz: number;
  readonly segments: readonly SegmentEstimate[];
  /** Operators that the host computes, and why. */
  readonly host: readonly Placement[];
  readonly totals: {
    readonly layers: number;
    readonly macs: number;
    readonly hardwareMacs: number;
    readonly read: number;
    readonly write: number;
    /** One layer after the other, and as the timeline has them. */
    readonly serialCycles: number;
    readonly cycles: number;
    readonly ns: number;
    /** Of the device alone: what the host computes is not in it. 0 when the device does nothing. */
    readonly framesPerSecond: number;
    /** Most multiply-accumulates that the device could do in a cycle, and the part of them that the model's are. */
    readonly peakMacs: number;
    readonly shareOfPeak: number;
  };
}

/** @param clockMhz of the device; memory is as fast as it is */
export function reportOf(program: CompiledProgram, clockMhz: number): ProgramReport {
  const segments = program.segments
    .filter((segment): segment is DeviceSegment => segment.kind !== 'host')
    .map((segment) => estimate(segment, clockMhz));
  const layers = segments.flatMap((segment) => segment.layers);
  const sum = (of: (layer: LayerEstimate) => number): number =>
    layers.reduce((total, layer) => total + of(layer), 0);
  const cycles = segments.reduce((total, segment) => total + segment.cycles, 0);
  const ns = (cycles * 1000) / clockMhz;
  const peak = peakOf(program.target, layers);
  const macs = sum((layer) => layer.macs);
  return {
    name: program.name,
    target: program.target,
    clockMhz,
    segments,
    host: program.placement.filter(({ device }) => device === 'host'),
    totals: {
      layers: layers.length,
      macs,
      hardwareMacs: sum((layer) => layer.hardwareMacs),
      read: sum((layer) => layer.read),
      write: sum((layer) => layer.write),
      serialCycles: sum((layer) => layer.cycles),
      cycles,
      ns,
      framesPerSecond: ns === 0 ? 0 : 1e9 / ns,
      peakMacs: peak,
      shareOfPeak: cycles === 0 ? 0 : macs / cycles / peak,
    },
  };
}

function estimate(segment: DeviceSegment, clockMhz: number): SegmentEstimate {
  const own = segment.layers.map((layer) => ({ layer, ...layerCycles(segment, layer, clockMhz) }));
  const spans = segment.kind === 'nvdla' ? timeline(segment.layers, memoryRates(clockMhz)) : oneByOne(own);
  const memory: Record<string, number> = {};
  for (const { role, bytes } of segment.buffers) memory[role] = (memory[role] ?? 0) + bytes;
  return {
    layers: own.map(({ layer: { cost, ...layer }, cycles, bound }, i) => {
      const [dram, sram] = cost.traffic;
      const span = spans[i]!;
      return {
        ...layer,
        read: dram.read + sram.read,
        write: dram.write + sram.write,
        sramRead: sram.read,
        sramWrite: sram.write,
        cycles,
        bound,
        start: Math.round(span.start),
        end: Math.round(span.end),
      };
    }),
    cycles: Math.round(spans.reduce((last, { end }) => Math.max(last, end), 0)),
    memory,
  };
}

function layerCycles(
  segment: DeviceSegment,
  { cost }: LayerReport,
  clockMhz: number,
): { cycles: number; bound: string } {
  if (segment.kind === 'nvdla') return silicon(cost, clockMhz);
  const [{ read, write }] = cost.traffic;
  const moving = (read + write) / BYTES_PER_CYCLE;
  const cycles = Math.ceil(gnaCycles(cost.compute, read + write, 1));
  const rest = cycles - cost.compute - moving;
  const bound = cost.compute >= Math.max(moving, rest) ? 'compute' : moving >= rest ? 'memory' : 'descriptor';
  return { cycles, bound };
}

function oneByOne(layers: readonly { readonly cycles: number }[]): Span[] {
  let now = 0;
  return layers.map(({ cycles }) => ({ start: now, end: (now += cycles) }));
}

function memoryRates(clockMhz: number): MemoryRates {
  const { dram, sramRead, sramWrite } = memorySystem;
  const perCycle = (gigabytes: number): number => (gigabytes * 1000) / clockMhz;
  return { dram: perCycle(dram), sramRead: perCycle(sramRead), sramWrite: perCycle(sramWrite) };
}

function peakOf(target: string, layers: readonly LayerEstimate[]): number {
  const [kind, config] = target.split(':') as [string, string];
  if (kind === 'gna') return peakGnaMacs(gnaConfigs[config as GnaGeneration], 2);
  const half = layers.some(({ precision }) => precision === 'fp16');
  return peakMacs(configs[config as ConfigName], half ? 2 : 1);
}
