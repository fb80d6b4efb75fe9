// Which configuration of NVDLA a loadable was compiled for: no field says so, its descriptors do.
// Not the driver's check of a layer: it finds what is possible, this what is meant.
import {
  type ConfigName,
  configs,
  CdpOpDesc,
  ConvOpDesc,
  ConvSurfaceDesc,
  type DataCube,
  FORMAT_FEATURE,
  MemType,
  type NvdlaConfig,
  OPERATION_BYTES,
  OpType,
  PairSurfaceDesc,
  PdpOpDesc,
  SdpActivation,
  SdpOpDesc,
  SdpSurfaceDesc,
  SURFACE_BYTES,
} from '../../hw/nvdla/index.js';
import { entriesPerSlice } from '../targets/nvdla/cbuf.js';
import { Contents } from './contents.js';
import { Interface, type Loadable } from './loadable.js';
import { dlaTask } from './tasks.js';
import { inTodaysLayout } from './today.js';

type Cube = ReturnType<(typeof DataCube)['from']>;

const PRECISIONS = ['int8', 'int16', 'fp16'] as const;
const UNITS = Object.keys(OpType) as (keyof typeof OpType)[];

/** What of a layer tells its configuration. */
interface Trait {
  /** `task 0, layer 2 (CONV)`. */
  readonly layer: string;
  readonly unit: keyof typeof OpType;
  /** Numbers of PRECISIONS. */
  readonly precisions: readonly number[];
  /** Feature cubes, and bytes of an element. */
  readonly cubes: readonly { readonly name: string; readonly cube: Cube; readonly bytes: number }[];
  readonly ew: boolean;
  readonly lut: boolean;
  readonly conv?: {
    readonly banks: number;
    readonly entries: number;
    readonly width: number;
    readonly channelBytes: number;
  };
}

/**
 * The configurations that a loadable can run on, likeliest first: those on which every line of its cubes is packed come
 * before others. Empty when there is none.
 * @throws AccelError EINVAL, EOPNOTSUPP for descriptors that cannot be read
 */
export function configsFor(loadable: Loadable): ConfigName[] {
  const traits = traitsOf(loadable);
  return preference
    .filter((name) => misfitOf(traits, configs[name]) === undefined)
    .map((name) => ({ name, loose: traits.filter((trait) => !isPacked(trait, configs[name])).length }))
    .sort((a, b) => a.loose - b.loose)
    .map(({ name }) => name);
}

/** Why a loadable cannot run on a configuration; undefined when it can. @throws AccelError as configsFor */
export function misfit(loadable: Loadable, config: ConfigName): string | undefined {
  return misfitOf(traitsOf(loadable), configs[config]);
}

/** Of configurations that fit equally well the vendor's own names come first. */
const preference: readonly ConfigName[] = [
  'nv_small',
  'nv_large',
  'nv_full',
  'nv_small_256',
  'nv_small_256_full',
  'nv_medium_512',
  'nv_medium_1024_full',
];

function traitsOf(original: Loadable): Trait[] {
  const loadable = inTodaysLayout(original);
  const contents = new Contents(loadable);
  return loadable.task_list
    .filter((task) => task.interface === Interface.DLA1)
    .flatMap((task) => {
      const { types, operations, surfaces } = dlaTask(contents, task);
      return types.map((type, i) =>
        traitOf(
          `task ${task.id}, layer ${i} (${UNITS[type]!})`,
          UNITS[type]!,
          operations.bytes.subarray(i * OPERATION_BYTES),
          surfaces.bytes.subarray(i * SURFACE_BYTES),
        ),
      );
    });
}

const bytesOf = (precision: number): number => (precision === 0 ? 1 : 2);

function traitOf(
  layer: string,
  unit: keyof typeof OpType,
  operation: Uint8Array,
  surfaces: Uint8Array,
): Trait {
  const common = { layer, unit, ew: false, lut: false };
  const cubesOf = (
    { src_data, dst_data }: { readonly src_data: Cube; readonly dst_data: Cube },
    source: number,
    target: number,
  ): Trait['cubes'] => [
    { name: 'src_data', cube: src_data, bytes: bytesOf(source) },
    { name: 'dst_data', cube: dst_data, bytes: bytesOf(target) },
  ];
  switch (unit) {
    case 'CONV': {
      const op = ConvOpDesc.from(operation);
      const { src_data } = ConvSurfaceDesc.from(surfaces);
      const isFeature = op.data_format === FORMAT_FEATURE;
      const conv = {
        banks: op.data_bank + op.weight_bank,
        entries: op.entry_per_slice,
        width: src_data.width,
        channelBytes: src_data.channel * bytesOf(op.out_precision),
      };
      return {
        ...common,
        precisions: [op.in_precision, op.out_precision],
        cubes: isFeature ? [{ name: 'src_data', cube: src_data, bytes: bytesOf(op.in_precision) }] : [],
        // Winograd and pictures count entries otherwise.
        ...(isFeature && op.conv_mode === 0 ? { conv } : {}),
      };
    }
    case 'SDP': {
      const op = SdpOpDesc.from(operation);
      return {
        ...common,
        precisions: [op.src_precision, op.dst_precision],
        cubes: cubesOf(SdpSurfaceDesc.from(surfaces), op.src_precision, op.dst_precision),
        ew: op.y_op.enable !== 0,
        lut: op.y_op.enable !== 0 && op.y_op.act === SdpActivation.LUT,
      };
    }
    case 'PDP': {
      const { precision } = PdpOpDesc.from(operation);
      return {
        ...common,
        precisions: [precision],
        cubes: cubesOf(PairSurfaceDesc.from(surfaces), precision, precision),
      };
    }
    case 'CDP': {
      const op = CdpOpDesc.from(operation);
      return {
        ...common,
        precisions: [op.in_precision, op.out_precision],
        cubes: cubesOf(PairSurfaceDesc.from(surfaces), op.in_precision, op.out_precision),
      };
    }
    default:
      return { ...common, precisions: [], cubes: [] };
  }
}

function misfitOf(traits: readonly Trait[], config: NvdlaConfig): string | undefined {
  for (const trait of traits) {
    const reason = reasonOf(trait, config);
    if (reason !== undefined) return `${trait.layer}: ${reason}`;
  }
  return undefined;
}

function reasonOf(
  { unit, precisions, cubes, ew, lut, conv }: Trait,
  config: NvdlaConfig,
): string | undefined {
  if (unit === 'BDMA' && !config.bdma) return 'there is no BDMA';
  if (unit === 'RUBIK' && !config.rubik) return 'there is no RUBIK';
  for (const precision of precisions) {
    const name = PRECISIONS[precision];
    if (name === undefined || !config.precisions.includes(name))
      return `no ${name ?? `precision ${precision}`}`;
  }
  if (ew && !config.sdpEw) return 'there is no element-wise stage';
  if (lut && !config.sdpLut) return 'there is no table in SDP';
  for (const { name, cube, bytes } of cubes) {
    if (cube.type === MemType.HW) continue;
    const { width, height, channel, size, line_stride, surf_stride } = cube;
    const { atom } = config;
    if (height > 1 && (line_stride < width * atom || line_stride % atom !== 0))
      return `${name} has lines of ${line_stride} bytes, ${width} atoms of ${atom} bytes are ${width * atom}`;
    const surfaces = Math.ceil((channel * bytes) / atom);
    const end = (surfaces - 1) * surf_stride + (height - 1) * line_stride + width * atom;
    if (end > size) return `${name} has ${size} bytes, with atoms of ${atom} it would have ${end}`;
  }
  if (conv !== undefined) {
    if (conv.banks > config.cbuf.banks) return `${conv.banks} banks, there are ${config.cbuf.banks}`;
    const entries = entriesPerSlice(config, conv.width, conv.channelBytes);
    if (entries !== conv.entries) return `${conv.entries} entries per slice, it would be ${entries}`;
  }
  return undefined;
}

function isPacked({ cubes }: Trait, { atom }: NvdlaConfig): boolean {
  return cubes.every(
    ({ cube }) => cube.type === MemType.HW || cube.height === 1 || cube.line_stride === cube.width * atom,
  );
}
