// What a person tuning a model wants to see of the layers of a segment: shapes, banks, splits, what they cost.
// Not the rules of the cost: hw/nvdla/cost.ts. Here is only what the descriptors of a layer will say.
import {
  cdpCycles,
  convolutionCycles,
  type CubeExtent,
  cubeBytes,
  type LayerCost,
  type NvdlaConfig,
  pdpCycles,
  sdpCycles,
} from '../../../hw/nvdla/index.js';
import type { LayerReport } from '../program.js';
import { precisionConfig } from './cbuf.js';
import { shortest } from './dependencies.js';
import type { Waits } from './hazards.js';
import type { Cube, Window } from './cube.js';
import { type Layer, poolOf, type PoolPart, resultOf, sdpOf, type SdpStage, stagesOf } from './layers.js';

export function reportLayers(
  layers: readonly Layer[],
  waits: readonly Waits[],
  config: NvdlaConfig,
): LayerReport[] {
  const splits = splitsOf(layers);
  const reports: LayerReport[] = [];
  for (const [index, layer] of layers.entries()) {
    const { nodes, input, macs, hardwareMacs } = layer;
    const output = resultOf(layer);
    reports.push({
      index,
      unit: unitOf(layer),
      nodes,
      input: [input.channels, input.height, input.width],
      output: [output.channels, output.height, output.width],
      detail: { ...detailOf(layer, config), ...splits[index] },
      constantBytes: constantBytesOf(layer),
      macs,
      hardwareMacs,
      precision: input.cube.elementBytes === 2 ? 'fp16' : 'int8',
      cost: costOf(layer, config),
      after: shortest(waits[index]!.start, (before) => unitOf(layers[before]!).split('+').at(-1)!),
    });
  }
  return reports;
}

function unitOf(layer: Layer): string {
  const own = { conv: 'CONV+SDP', sdp: 'SDP', pool: 'PDP', norm: 'CDP' }[layer.kind];
  return poolOf(layer) === undefined ? own : `${own}+PDP`;
}

function detailOf(layer: Layer, config: NvdlaConfig): LayerReport['detail'] {
  switch (layer.kind) {
    case 'conv': {
      const { kernel, stride, banks, output, input } = layer;
      const { atomicK } = precisionConfig(config, input.cube.elementBytes);
      return {
        kernel: `${kernel.height}x${kernel.width}`,
        stride: `${stride.y}x${stride.x}`,
        dataBanks: banks.dataBank,
        weightBanks: banks.weightBank,
        weights: banks.weights,
        kernelGroups: Math.ceil(output.channels / atomicK),
        ...pooled(layer.pool),
      };
    }
    case 'pool':
      return {
        kernel: `${layer.kernel.height}x${layer.kernel.width}`,
        stride: `${layer.stride.y}x${layer.stride.x}`,
        method: layer.method,
      };
    case 'norm':
      return { size: layer.size, table: layer.lut.name };
    case 'sdp': {
      const { table } = layer.sdp;
      return { ...(table === undefined ? {} : { table: table.name }), ...pooled(layer.pool) };
    }
  }
}

function pooled(pool: PoolPart | undefined): LayerReport['detail'] {
  if (pool === undefined) return {};
  const { method, kernel, stride } = pool;
  return { pool: `${method} ${kernel.height}x${kernel.width} /${stride.y}x${stride.x}` };
}

function constantBytesOf(layer: Layer): number {
  if (layer.kind === 'norm') return layer.lut.bytes.length;
  const operands = stagesOf(layer).reduce((sum, { constant }) => sum + (constant?.bytes ?? 0), 0);
  const table = sdpOf(layer)?.table?.bytes.length ?? 0;
  return operands + table + (layer.kind === 'conv' ? layer.weights.bytes : 0);
}

/**
 * Which tile and which block of channels of a result a layer makes. Layers of one operator that write different cubes are steps, no
 * parts.
 */
function splitsOf(layers: readonly Layer[]): Record<string, string>[] {
  const results = new Map<Cube, Layer[]>();
  for (const layer of layers) {
    const { cube } = resultOf(layer);
    results.set(cube, [...(results.get(cube) ?? []), layer]);
  }
  const block = (layer: Layer): number => resultOf(layer).channel;
  return layers.map((layer) => {
    const own = results.get(resultOf(layer).cube)!.filter(({ kind }) => kind === layer.kind);
    const blocks = [...new Set(own.map(block))];
    const tiles = own.filter((other) => block(other) === block(layer));
    const place = (index: number, count: number): string => `${index + 1}/${count}`;
    return {
      ...(tiles.length > 1 ? { tile: place(tiles.indexOf(layer), tiles.length) } : {}),
      ...(blocks.length > 1 ? { block: place(blocks.indexOf(block(layer)), blocks.length) } : {}),
    };
  });
}

/** What the device model makes of the layer's registers, before there are any. */
function costOf(layer: Layer, config: NvdlaConfig): LayerCost {
  const { input, output } = layer;
  const { elementBytes } = input.cube;
  let read = 0;
  const compute: number[] = [];
  if (layer.kind === 'conv') {
    const channels = layer.pair === undefined ? input.channels : config.atom + layer.pair.input.channels;
    read += cubeBytes(config, { ...extentOf(input), channels }, elementBytes) + layer.weights.bytes;
    compute.push(
      convolutionCycles(config, {
        outputs: output.width * output.height,
        kernels: output.channels,
        channels,
        rows: layer.kernel.height,
        columns: layer.kernel.width,
        elementBytes,
      }),
    );
  } else {
    read += cubeBytes(config, extentOf(input), elementBytes);
  }
  const sdp = sdpOf(layer);
  if (sdp !== undefined) {
    for (const stage of stagesOf(layer)) read += operandBytes(config, stage, layer);
    const elementWise = sdp.y !== undefined || sdp.table !== undefined;
    compute.push(sdpCycles(config, elementsOf(output), elementWise));
  }
  if (layer.kind === 'pool') compute.push(pdpCycles(config, elementsOf(input)));
  if (layer.kind === 'norm') compute.push(cdpCycles(config, elementsOf(input)));
  if (poolOf(layer) !== undefined) compute.push(pdpCycles(config, elementsOf(output)));
  const result = resultOf(layer);
  const write = cubeBytes(config, extentOf(result), result.cube.elementBytes);
  // Everything lies behind the first port.
  return {
    compute: Math.max(...compute),
    traffic: [
      { read, write },
      { read: 0, write: 0 },
    ],
  };
}

/** Operands of the two kinds lie side by side. Vectors of int8 layers have 16 bits. */
function operandBytes(config: NvdlaConfig, stage: SdpStage, { input, output }: Layer): number {
  if (stage.operand === undefined && stage.constant === undefined) return 0;
  const { channels, ...plane } = extentOf(output);
  const bytes = stage.constant === undefined ? input.cube.elementBytes : 2;
  const extent = stage.mode === 'point' ? { ...plane, channels } : { width: 1, height: 1, channels };
  return cubeBytes(config, extent, bytes * (stage.type === 'both' ? 2 : 1));
}

function extentOf({ width, height, channels }: Window): CubeExtent {
  return { width, height, channels };
}

function elementsOf({ width, height, channels }: Window): number {
  return width * height * channels;
}
