// Every layer that the vendor's driver programmed on nv_full in LeNet and ResNet-18 (vp-trace), programmed by ours.
// Descriptors are read back from the traced registers; then our writes must be the traced ones, in their order.
// Not a run of the networks: each layer is submitted by itself, addresses are ours.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { registerAt, type Register } from '../../src/base/registers.js';
import { OpEvent, OpType, registerMaps, SdpType, type UnitName } from '../../src/hw/nvdla/index.js';
import { needsShared, shared } from '../support/shared.js';
import {
  convLayer,
  cube,
  DATA,
  flying,
  OUT,
  pdpLayer,
  sdpLayer,
  system,
  type LayerSpec,
} from './nvdla-client.js';

interface Access {
  readonly unit: UnitName;
  readonly register: Register;
  readonly value: number;
}

const { base, units } = registerMaps.full;

function parse(path: string): Access[] {
  const accesses: Access[] = [];
  for (const line of gunzipSync(readFileSync(path)).toString().split('\n')) {
    const [, address, value] = /^write_reg 0xffff([0-9a-f]{4}) (0x[0-9a-f]+)/.exec(line) ?? [];
    if (address === undefined) continue;
    const offset = parseInt(address, 16) * 4;
    const unit = (Object.keys(base) as UnitName[]).find((name) => (offset & ~0xfff) === base[name])!;
    const register = registerAt(units[unit], offset & 0xfff);
    assert.ok(register !== undefined, line);
    accesses.push({ unit, register, value: Number(value) });
  }
  return accesses;
}

const processors = {
  conv: { units: ['CACC', 'CMAC_A', 'CMAC_B', 'CSC', 'CDMA'] },
  sdp: { units: ['SDP', 'SDP_RDMA'] },
  pdp: { units: ['PDP', 'PDP_RDMA'] },
} as const;
type Name = keyof typeof processors;

/** Writes of D_ registers that follow each selection of a group. Selections that only arm are left out. */
function layers(accesses: readonly Access[], name: Name): Access[][] {
  const own: readonly UnitName[] = processors[name].units;
  const all: Access[][] = [];
  for (const access of accesses) {
    if (!own.includes(access.unit)) continue;
    if (access.register.name === 'S_POINTER') {
      if (access.unit === own[0]) all.push([]);
    } else if (access.register.name !== 'D_OP_ENABLE') all.at(-1)!.push(access);
  }
  return all.filter((layer) => layer.length > 0);
}

const isAddress = (register: string): boolean => register.includes('ADDR');

/** `NAME=value`, addresses without value. */
const text = ({ unit, register, value }: { unit: string; register: string; value: number }): string =>
  isAddress(register) ? `${unit}.${register}` : `${unit}.${register}=0x${value.toString(16)}`;

/** Traced values by register, with a reader of fields. */
class Traced {
  readonly #words = new Map<string, number>();
  constructor(layer: readonly Access[]) {
    for (const { unit, register, value } of layer) this.#words.set(`${unit}.${register.name}`, value);
  }
  word(name: string): number {
    return this.#words.get(name) ?? 0;
  }
  has(name: string): boolean {
    return this.#words.has(name);
  }
  /** A field, `CSC.D_BANK.DATA_BANK`. */
  field(path: string): number {
    const [unit, register, field] = path.split('.') as [UnitName, string, string];
    const table = units[unit] as unknown as Record<string, Register>;
    const found = table[register]!.fields.find(({ name }) => name === field);
    assert.ok(found !== undefined, path);
    return found.get(this.word(`${unit}.${register}`));
  }
}

function convOf(t: Traced): LayerSpec {
  const f = (path: string): number => t.field(path);
  const feature = f('CDMA.D_DATAIN_FORMAT.DATAIN_FORMAT') === 0;
  const dst = {
    width: f('CACC.D_DATAOUT_SIZE_0.DATAOUT_WIDTH') + 1,
    height: f('CACC.D_DATAOUT_SIZE_0.DATAOUT_HEIGHT') + 1,
    channel: t.word('CACC.D_DATAOUT_SIZE_1') + 1,
    line_stride: t.word('CACC.D_LINE_STRIDE'),
    surf_stride: t.word('CACC.D_SURF_STRIDE'),
  };
  return convLayer(
    {
      conv_mode: f('CDMA.D_MISC_CFG.CONV_MODE'),
      data_reuse: f('CDMA.D_MISC_CFG.DATA_REUSE'),
      weight_reuse: f('CDMA.D_MISC_CFG.WEIGHT_REUSE'),
      skip_data_rls: f('CDMA.D_MISC_CFG.SKIP_DATA_RLS'),
      skip_weight_rls: f('CDMA.D_MISC_CFG.SKIP_WEIGHT_RLS'),
      entry_per_slice: t.word('CDMA.D_ENTRY_PER_SLICE') + 1,
      data_format: feature ? 36 : f('CDMA.D_DATAIN_FORMAT.PIXEL_FORMAT'),
      fetch_grain: t.word('CDMA.D_FETCH_GRAIN') + 1,
      batch: t.word('CDMA.D_BATCH_NUMBER') + 1,
      data_bank: f('CDMA.D_BANK.DATA_BANK') + 1,
      weight_bank: f('CDMA.D_BANK.WEIGHT_BANK') + 1,
      post_extension: t.word('CSC.D_POST_Y_EXTENSION'),
      pixel_override: f('CDMA.D_DATAIN_FORMAT.PIXEL_SIGN_OVERRIDE'),
      release: t.word('CSC.D_RELEASE') + 1,
      input_width_csc: f('CSC.D_DATAIN_SIZE_EXT_0.DATAIN_WIDTH_EXT') + 1,
      input_height_csc: f('CSC.D_DATAIN_SIZE_EXT_0.DATAIN_HEIGHT_EXT') + 1,
      input_channel_csc: t.word('CSC.D_DATAIN_SIZE_EXT_1') + 1,
      kernel_width_csc: f('CSC.D_WEIGHT_SIZE_EXT_0.WEIGHT_WIDTH_EXT') + 1,
      kernel_height_csc: f('CSC.D_WEIGHT_SIZE_EXT_0.WEIGHT_HEIGHT_EXT') + 1,
      kernel_channel_csc: f('CSC.D_WEIGHT_SIZE_EXT_1.WEIGHT_CHANNEL_EXT') + 1,
      input_width_cmac: f('CSC.D_DATAOUT_SIZE_0.DATAOUT_WIDTH') + 1,
      input_height_cmac: f('CSC.D_DATAOUT_SIZE_0.DATAOUT_HEIGHT') + 1,
      bytes_per_kernel: t.word('CDMA.D_WEIGHT_SIZE_0') + 1,
      mean_format: t.word('CDMA.D_MEAN_FORMAT'),
      conv_stride_x: f('CDMA.D_CONV_STRIDE.CONV_X_STRIDE') + 1,
      conv_stride_y: f('CDMA.D_CONV_STRIDE.CONV_Y_STRIDE') + 1,
      pad_x_left: f('CDMA.D_ZERO_PADDING.PAD_LEFT'),
      pad_x_right: f('CDMA.D_ZERO_PADDING.PAD_RIGHT'),
      pad_y_top: f('CDMA.D_ZERO_PADDING.PAD_TOP'),
      pad_y_bottom: f('CDMA.D_ZERO_PADDING.PAD_BOTTOM'),
      dilation_x: f('CSC.D_DILATION_EXT.X_DILATION_EXT') + 1,
      dilation_y: f('CSC.D_DILATION_EXT.Y_DILATION_EXT') + 1,
      in_precision: f('CDMA.D_MISC_CFG.IN_PRECISION'),
      out_precision: f('CDMA.D_MISC_CFG.PROC_PRECISION'),
      in_cvt: {
        enable: f('CDMA.D_CVT_CFG.CVT_EN'),
        truncate: f('CDMA.D_CVT_CFG.CVT_TRUNCATE'),
        offset: t.word('CDMA.D_CVT_OFFSET'),
        scale: t.word('CDMA.D_CVT_SCALE'),
      },
    },
    {
      weight_data: flying({ size: t.word('CDMA.D_WEIGHT_BYTES'), type: 0 }),
      dst_data: flying(dst),
      src_data: cube(DATA, {
        size: 32,
        width: f('CDMA.D_DATAIN_SIZE_0.DATAIN_WIDTH') + 1,
        height: f('CDMA.D_DATAIN_SIZE_0.DATAIN_HEIGHT') + 1,
        channel: t.word('CDMA.D_DATAIN_SIZE_1') + 1,
        line_stride: t.word('CDMA.D_LINE_STRIDE'),
        surf_stride: t.word('CDMA.D_SURF_STRIDE'),
      }),
    },
  );
}

function sdpOf(t: Traced): LayerSpec {
  const f = (path: string): number => t.field(path);
  const operand = (stage: 'BS' | 'BN' | 'EW', dma: 'B' | 'N' | 'E') => {
    const cfg = `SDP.D_DP_${stage}_CFG.${stage}`;
    const alu = f(`${cfg}_ALU_BYPASS`) === 0;
    const mul = f(`${cfg}_MUL_BYPASS`) === 0;
    const relu = stage !== 'EW' && f(`${cfg}_RELU_BYPASS`) === 0;
    const fetched = t.has(`SDP_RDMA.D_${stage}_LINE_STRIDE`);
    const modes = f(`SDP_RDMA.D_${dma}RDMA_CFG.${dma}RDMA_DATA_MODE`) === 0 ? 1 : 2;
    const source = t.has(`SDP.D_DP_${stage}_MUL_CFG`) ? f(`SDP.D_DP_${stage}_MUL_CFG.${stage}_MUL_SRC`) : 0;
    return {
      op: {
        enable: 1 - f(`${cfg}_BYPASS`),
        type: alu ? (mul ? SdpType.BOTH : SdpType.ADD) : mul ? SdpType.MUL : SdpType.NONE,
        alu_type: f(`${cfg}_ALU_ALGO`),
        act: relu ? 1 : f(`${cfg}_MUL_PRELU`) === 1 ? 3 : 0,
        mode: source === 1 || fetched ? modes : 0,
        shift_value: stage === 'EW' ? 0 : f(`SDP.D_DP_${stage}_ALU_CFG.${stage}_ALU_SHIFT_VALUE`),
        truncate: stage === 'EW' ? 0 : f(`SDP.D_DP_${stage}_MUL_CFG.${stage}_MUL_SHIFT_VALUE`),
        precision: f(`SDP_RDMA.D_${dma}RDMA_CFG.${dma}RDMA_DATA_SIZE`) === 0 ? 0 : 2,
        alu_operand: t.word(`SDP.D_DP_${stage}_ALU_SRC_VALUE`) | 0,
        mul_operand: t.word(`SDP.D_DP_${stage}_MUL_SRC_VALUE`) | 0,
        alu_cvt: { scale: 0, truncate: 0, enable: 0, offset: 0 },
        mul_cvt: { scale: 0, truncate: 0, enable: 0, offset: 0 },
      },
      data: cube(DATA, {
        size: 32,
        line_stride: t.word(`SDP_RDMA.D_${stage}_LINE_STRIDE`),
        surf_stride: t.word(`SDP_RDMA.D_${stage}_SURFACE_STRIDE`),
      }),
    };
  };
  const [x1, x2, y] = [operand('BS', 'B'), operand('BN', 'N'), operand('EW', 'E')];
  const size = {
    size: 32,
    width: t.word('SDP.D_DATA_CUBE_WIDTH') + 1,
    height: t.word('SDP.D_DATA_CUBE_HEIGHT') + 1,
    channel: t.word('SDP.D_DATA_CUBE_CHANNEL') + 1,
  };
  const onTheFly = f('SDP.D_FEATURE_MODE_CFG.FLYING_MODE') === 1;
  return sdpLayer(
    {
      src_precision: f('SDP_RDMA.D_FEATURE_MODE_CFG.IN_PRECISION'),
      dst_precision: f('SDP.D_DATA_FORMAT.OUT_PRECISION'),
      x1_op: x1.op,
      x2_op: x2.op,
      y_op: y.op,
      out_cvt: {
        offset: t.word('SDP.D_CVT_OFFSET') | 0,
        scale: t.word('SDP.D_CVT_SCALE'),
        truncate: t.word('SDP.D_CVT_SHIFT'),
        enable: 1,
      },
    },
    {
      src_data: (onTheFly ? flying : (fields: Parameters<typeof flying>[0]) => cube(DATA, fields))({
        ...size,
        ...(onTheFly ? {} : { type: 0 }),
        line_stride: t.word('SDP_RDMA.D_SRC_LINE_STRIDE'),
        surf_stride: t.word('SDP_RDMA.D_SRC_SURFACE_STRIDE'),
      }),
      x1_data: x1.data,
      x2_data: x2.data,
      y_data: y.data,
      dst_data: cube(OUT, {
        ...size,
        line_stride: t.word('SDP.D_DST_LINE_STRIDE'),
        surf_stride: t.word('SDP.D_DST_SURFACE_STRIDE'),
      }),
    },
  );
}

function pdpOf(t: Traced): LayerSpec {
  const f = (path: string): number => t.field(path);
  return pdpLayer(
    {
      split_num: f('PDP.D_OPERATION_MODE_CFG.SPLIT_NUM') + 1,
      pool_mode: f('PDP.D_OPERATION_MODE_CFG.POOLING_METHOD'),
      pool_width: f('PDP.D_POOLING_KERNEL_CFG.KERNEL_WIDTH'),
      pool_height: f('PDP.D_POOLING_KERNEL_CFG.KERNEL_HEIGHT'),
      stride_x: f('PDP.D_POOLING_KERNEL_CFG.KERNEL_STRIDE_WIDTH') + 1,
      stride_y: f('PDP.D_POOLING_KERNEL_CFG.KERNEL_STRIDE_HEIGHT') + 1,
      pad_left: f('PDP.D_POOLING_PADDING_CFG.PAD_LEFT'),
      pad_right: f('PDP.D_POOLING_PADDING_CFG.PAD_RIGHT'),
      pad_top: f('PDP.D_POOLING_PADDING_CFG.PAD_TOP'),
      pad_bottom: f('PDP.D_POOLING_PADDING_CFG.PAD_BOTTOM'),
      precision: t.word('PDP.D_DATA_FORMAT'),
    },
    {
      src_data: cube(DATA, {
        size: 32,
        width: t.word('PDP.D_DATA_CUBE_IN_WIDTH') + 1,
        height: t.word('PDP.D_DATA_CUBE_IN_HEIGHT') + 1,
        channel: t.word('PDP.D_DATA_CUBE_IN_CHANNEL') + 1,
        line_stride: t.word('PDP.D_SRC_LINE_STRIDE'),
        surf_stride: t.word('PDP.D_SRC_SURFACE_STRIDE'),
      }),
      dst_data: cube(OUT, {
        size: 32,
        width: t.word('PDP.D_DATA_CUBE_OUT_WIDTH') + 1,
        height: t.word('PDP.D_DATA_CUBE_OUT_HEIGHT') + 1,
        channel: t.word('PDP.D_DATA_CUBE_OUT_CHANNEL') + 1,
        line_stride: t.word('PDP.D_DST_LINE_STRIDE'),
        surf_stride: t.word('PDP.D_DST_SURFACE_STRIDE'),
      }),
    },
  );
}

const describeLayer: Readonly<Record<Name, (t: Traced) => LayerSpec>> = {
  conv: convOf,
  sdp: sdpOf,
  pdp: pdpOf,
};

const networks: Readonly<Record<string, Readonly<Record<Name, number>>>> = {
  lenet: { conv: 4, sdp: 4, pdp: 2 },
  'resnet18-cifar10': { conv: 20, sdp: 20, pdp: 1 },
};

for (const [network, counts] of Object.entries(networks)) {
  const path = `vectors/nvdla/vp-trace/${network}/input.txn.gz`;
  describe(`NVDLA driver against the vendor's on ${network}`, needsShared(path), () => {
    for (const name of Object.keys(processors) as Name[]) {
      it(`writes the same ${name} registers with the same values in the same order`, async () => {
        const traced = layers(parse(shared(path)!), name);
        assert.equal(traced.length, counts[name]);
        for (const [i, layer] of traced.entries()) {
          const s = system('nv_full');
          const client = await s.client();
          const { submit } = await client.task({ layers: [describeLayer[name](new Traced(layer))] });
          s.device.take();
          let refused: unknown;
          submit().catch((error: unknown) => (refused = error));
          await s.clock.settle();
          assert.equal(refused, undefined, `layer ${i}`);
          const written = s.device.writes
            .map((write) => ({
              ...write,
              unit: write.name.split('.')[0]!,
              register: write.name.split('.')[1]!,
            }))
            .filter(({ register }) => register.startsWith('D_') && register !== 'D_OP_ENABLE');
          assert.deepEqual(
            written.map(text),
            layer.map(({ unit, register, value }) => text({ unit, register: register.name, value })),
            `layer ${i}`,
          );
        }
      });
    }
  });
}

const lenet = 'vectors/nvdla/vp-trace/lenet';

describe('NVDLA engine against the vendor’s', needsShared(lenet), () => {
  it('issues all register writes of LeNet in the same order when interrupts come in the same order', async () => {
    const log = gunzipSync(readFileSync(shared(`${lenet}/compile_log.gz`)!)).toString();
    const trace = shared(`${lenet}/input.txn.gz`)!;
    const accesses = parse(trace);
    const types = { conv: OpType.CONV, sdp: OpType.SDP, pdp: OpType.PDP };
    const programs = {
      conv: layers(accesses, 'conv').map((layer) => convOf(new Traced(layer))),
      sdp: layers(accesses, 'sdp').map((layer) => sdpOf(new Traced(layer))),
      pdp: layers(accesses, 'pdp').map((layer) => pdpOf(new Traced(layer))),
    };
    // The compiler's last print of the graph: per layer its name, its count, and whom it tells on which event.
    const nodes = [
      ...log.matchAll(/annid=(\d+) node=(dc-conv|fc|bias|pdp)-\S+ deps=(\d+)\n.*\n.*consumer: \[(.*)\]/g),
    ].slice(-10);
    const kinds = nodes.map(([, , kind]) => (kind === 'bias' ? 'sdp' : kind === 'pdp' ? 'pdp' : 'conv'));
    const graph = nodes.map(([, index, , deps, consumers], i): LayerSpec => {
      const kind = kinds[i]!;
      assert.equal(Number(index), i);
      const told = [
        ...consumers!.matchAll(/(?:conv|fc|bias|pdp)-\d+\(annId:(\d+)\):OP_(PROGRAMMED|COMPLETED)/g),
      ].map(
        ([, to, event]) =>
          [Number(to), event === 'PROGRAMMED' ? OpEvent.PROGRAMMED : OpEvent.COMPLETED] as const,
      );
      const flies = kind === 'sdp';
      return {
        ...programs[kind].shift()!,
        waits: Number(deps),
        consumers: Object.fromEntries(told.map((edge) => [types[kinds[edge[0]]!], edge])),
        ...(flies ? { parent: [i - 1, OpEvent.ENABLED] as const } : {}),
      };
    });
    assert.equal(graph.length, 10);

    const s = system('nv_full');
    const client = await s.client();
    const { submit } = await client.task({ layers: graph });
    s.device.take();
    const done = submit();
    await s.clock.settle();
    const statuses = gunzipSync(readFileSync(trace))
      .toString()
      .matchAll(/^until 0xffff0003 (0x[0-9a-f]+)/gm);
    for (const [, status] of statuses) {
      s.device.interrupt(Number(status));
      await s.clock.settle();
    }
    await done;
    const written = s.device.writes
      .map(({ name, value }) => ({ unit: name.split('.')[0]!, register: name.split('.')[1]!, value }))
      .filter(({ unit }) => unit !== 'GLB');
    assert.deepEqual(
      written.map(text),
      accesses
        .filter(({ unit }) => unit !== 'GLB')
        .map(({ unit, register, value }) => text({ unit, register: register.name, value })),
    );
  });
});
