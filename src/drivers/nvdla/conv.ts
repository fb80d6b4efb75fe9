// The convolution pipeline CDMA, CSC, CMAC_A, CMAC_B, CACC: checks a layer and programs it from the back to the front.
// Not the SDP behind it: that is a layer of its own, armed before this one.
import {
  ConvOpDesc,
  ConvSurfaceDesc,
  CvtParam,
  DataCube,
  FORMAT_FEATURE,
  interruptBit,
  MemType,
} from '../../hw/nvdla/index.js';
import type { Hardware } from './hardware.js';
import { high32, low32, ramType, type Layer } from './layer.js';
import { GroupedProcessor, type Processor } from './processor.js';
import type { RegisterProgram } from './program.js';

const WINOGRAD = 1;
const COMPRESSED = 1;

/** Reads of S_CBUF_FLUSH_STATUS before the buffer counts as stuck. Each takes about a microsecond on silicon. */
const FLUSH_POLLS = 1000;

/** Bytes from pixel to pixel by DATAIN_FORMAT, 0 to 36 (feature); semi-planar: of the Y plane. */
const pixelBytes = [
  1, 2, 2, 2, 2, 2, 8, 8, 8, 8, 8, 8, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 1, 1, 2, 2, 2, 2, 2, 2,
  2,
] as const;

export function conv(hardware: Hardware): Processor {
  const { config, memory } = hardware;
  const cdma = hardware.unit('CDMA');
  const csc = hardware.unit('CSC');
  const cmacA = hardware.unit('CMAC_A');
  const cmacB = hardware.unit('CMAC_B');
  const cacc = hardware.unit('CACC');
  const [dma, seq, mac, acc] = [cdma.r, csc.r, cmacA.r, cacc.r];

  const op = ConvOpDesc.view(memory.view);
  const inCvt = CvtParam.view(memory.view);
  const outCvt = CvtParam.view(memory.view);
  const weight = DataCube.view(memory.view);
  const wmb = DataCube.view(memory.view);
  const wgs = DataCube.view(memory.view);
  const src = DataCube.view(memory.view);
  const dst = DataCube.view(memory.view);
  const surface = ConvSurfaceDesc.offsets;

  function encode(layer: Layer, out: RegisterProgram): void {
    op.at = layer.op;
    inCvt.at = layer.op + ConvOpDesc.offsets.in_cvt;
    outCvt.at = layer.op + ConvOpDesc.offsets.out_cvt;
    weight.at = layer.surface + surface.weight_data;
    wmb.at = layer.surface + surface.wmb_data;
    wgs.at = layer.surface + surface.wgs_data;
    src.at = layer.surface + surface.src_data;
    dst.at = layer.surface + surface.dst_data;
    check(layer);

    // Addresses: the filter, its mask and group sizes when compressed, the output when it goes to memory, the input.
    const compressed = op.weight_format === COMPRESSED;
    const wmbAddress = compressed ? layer.address('wmb_data', wmb) : 0;
    const wgsAddress = compressed ? layer.address('wgs_data', wgs) : 0;
    const weightAddress = weight.address === -1 ? 0 : layer.address('weight_data', weight);
    const outputAddress = dst.address === -1 ? 0 : layer.address('dst_data', dst);
    const input = layer.inputAddress('src_data', src, pixelBytes[op.data_format]!);
    // Second plane of a semi-planar image. s64 in the descriptor; both planes lie in one buffer of less than 2^32 bytes.
    const inputUv = input + layer.view.getInt32(layer.surface + surface.offset_u, true);

    const mode = op.conv_mode;
    const precision = op.out_precision;
    const direct = mode !== WINOGRAD;
    const feature = op.data_format === FORMAT_FEATURE;

    // CACC
    out.put(
      cacc,
      acc.D_MISC_CFG,
      acc.D_MISC_CFG.f.CONV_MODE.of(mode) | acc.D_MISC_CFG.f.PROC_PRECISION.of(precision),
    );
    out.put(
      cacc,
      acc.D_DATAOUT_SIZE_0,
      acc.D_DATAOUT_SIZE_0.f.DATAOUT_WIDTH.of(dst.width - 1) |
        acc.D_DATAOUT_SIZE_0.f.DATAOUT_HEIGHT.of(dst.height - 1),
    );
    out.put(cacc, acc.D_DATAOUT_SIZE_1, dst.channel - 1);
    out.put(cacc, acc.D_DATAOUT_ADDR, low32(outputAddress));
    out.put(cacc, acc.D_BATCH_NUMBER, op.batch - 1);
    out.put(cacc, acc.D_LINE_STRIDE, dst.line_stride);
    out.put(cacc, acc.D_SURF_STRIDE, dst.surf_stride);
    const packed = dst.width === 1 && dst.height === 1 ? 1 : 0;
    out.put(
      cacc,
      acc.D_DATAOUT_MAP,
      acc.D_DATAOUT_MAP.f.LINE_PACKED.of(packed) | acc.D_DATAOUT_MAP.f.SURF_PACKED.of(packed),
    );
    out.put(cacc, acc.D_CLIP_CFG, outCvt.truncate);

    // CMAC
    const macMisc = mac.D_MISC_CFG.f.CONV_MODE.of(mode) | mac.D_MISC_CFG.f.PROC_PRECISION.of(precision);
    out.put(cmacA, mac.D_MISC_CFG, macMisc);
    out.put(cmacB, cmacB.r.D_MISC_CFG, macMisc);

    // CSC
    const misc = seq.D_MISC_CFG.f;
    out.put(
      csc,
      seq.D_MISC_CFG,
      misc.CONV_MODE.of(mode) |
        misc.IN_PRECISION.of(precision) |
        misc.PROC_PRECISION.of(precision) |
        misc.DATA_REUSE.of(op.data_reuse) |
        misc.WEIGHT_REUSE.of(op.weight_reuse) |
        misc.SKIP_DATA_RLS.of(op.skip_data_rls) |
        misc.SKIP_WEIGHT_RLS.of(op.skip_weight_rls),
    );
    out.put(csc, seq.D_DATAIN_FORMAT, feature ? 0 : 1);
    out.put(
      csc,
      seq.D_DATAIN_SIZE_EXT_0,
      seq.D_DATAIN_SIZE_EXT_0.f.DATAIN_WIDTH_EXT.of(op.input_width_csc - 1) |
        seq.D_DATAIN_SIZE_EXT_0.f.DATAIN_HEIGHT_EXT.of(op.input_height_csc - 1),
    );
    out.put(csc, seq.D_DATAIN_SIZE_EXT_1, op.input_channel_csc - 1);
    out.put(csc, seq.D_BATCH_NUMBER, op.batch - 1);
    out.put(csc, seq.D_POST_Y_EXTENSION, op.post_extension);
    out.put(csc, seq.D_ENTRY_PER_SLICE, op.entry_per_slice - 1);
    out.put(csc, seq.D_WEIGHT_FORMAT, op.weight_format);
    out.put(
      csc,
      seq.D_WEIGHT_SIZE_EXT_0,
      seq.D_WEIGHT_SIZE_EXT_0.f.WEIGHT_WIDTH_EXT.of(op.kernel_width_csc - 1) |
        seq.D_WEIGHT_SIZE_EXT_0.f.WEIGHT_HEIGHT_EXT.of(op.kernel_height_csc - 1),
    );
    out.put(
      csc,
      seq.D_WEIGHT_SIZE_EXT_1,
      seq.D_WEIGHT_SIZE_EXT_1.f.WEIGHT_CHANNEL_EXT.of(op.kernel_channel_csc - 1) |
        seq.D_WEIGHT_SIZE_EXT_1.f.WEIGHT_KERNEL.of(dst.channel - 1),
    );
    out.put(csc, seq.D_WEIGHT_BYTES, weight.size);
    out.put(csc, seq.D_WMB_BYTES, wmb.size);
    out.put(
      csc,
      seq.D_DATAOUT_SIZE_0,
      seq.D_DATAOUT_SIZE_0.f.DATAOUT_WIDTH.of(op.input_width_cmac - 1) |
        seq.D_DATAOUT_SIZE_0.f.DATAOUT_HEIGHT.of(op.input_height_cmac - 1),
    );
    out.put(csc, seq.D_DATAOUT_SIZE_1, dst.channel - 1);
    out.put(csc, seq.D_ATOMICS, dst.width * dst.height - 1);
    out.put(csc, seq.D_RELEASE, op.release - 1);
    // Winograd transforms take stride and padding in CDMA.
    out.put(
      csc,
      seq.D_CONV_STRIDE_EXT,
      direct
        ? seq.D_CONV_STRIDE_EXT.f.CONV_X_STRIDE_EXT.of(op.conv_stride_x - 1) |
            seq.D_CONV_STRIDE_EXT.f.CONV_Y_STRIDE_EXT.of(op.conv_stride_y - 1)
        : 0,
    );
    out.put(
      csc,
      seq.D_DILATION_EXT,
      seq.D_DILATION_EXT.f.X_DILATION_EXT.of(op.dilation_x - 1) |
        seq.D_DILATION_EXT.f.Y_DILATION_EXT.of(op.dilation_y - 1),
    );
    out.put(
      csc,
      seq.D_ZERO_PADDING,
      direct
        ? seq.D_ZERO_PADDING.f.PAD_LEFT.of(op.pad_x_left) | seq.D_ZERO_PADDING.f.PAD_TOP.of(op.pad_y_top)
        : 0,
    );
    out.put(csc, seq.D_ZERO_PADDING_VALUE, seq.D_ZERO_PADDING_VALUE.f.PAD_VALUE.of(op.pad_val));
    out.put(
      csc,
      seq.D_BANK,
      seq.D_BANK.f.DATA_BANK.of(op.data_bank - 1) | seq.D_BANK.f.WEIGHT_BANK.of(op.weight_bank - 1),
    );
    out.put(csc, seq.D_PRA_CFG, op.pra_truncate);

    // CDMA
    const dmaMisc = dma.D_MISC_CFG.f;
    out.put(
      cdma,
      dma.D_MISC_CFG,
      dmaMisc.CONV_MODE.of(mode) |
        dmaMisc.IN_PRECISION.of(op.in_precision) |
        dmaMisc.PROC_PRECISION.of(precision) |
        dmaMisc.DATA_REUSE.of(op.data_reuse) |
        dmaMisc.WEIGHT_REUSE.of(op.weight_reuse) |
        dmaMisc.SKIP_DATA_RLS.of(op.skip_data_rls) |
        dmaMisc.SKIP_WEIGHT_RLS.of(op.skip_weight_rls),
    );
    // A feature cube has no pixel format; the kernel driver writes the register's enum value of FEATURE, 0.
    out.put(
      cdma,
      dma.D_DATAIN_FORMAT,
      dma.D_DATAIN_FORMAT.f.DATAIN_FORMAT.of(feature ? 0 : 1) |
        dma.D_DATAIN_FORMAT.f.PIXEL_FORMAT.of(feature ? 0 : op.data_format) |
        dma.D_DATAIN_FORMAT.f.PIXEL_SIGN_OVERRIDE.of(op.pixel_override),
    );
    out.put(
      cdma,
      dma.D_DATAIN_SIZE_0,
      dma.D_DATAIN_SIZE_0.f.DATAIN_WIDTH.of(src.width - 1) |
        dma.D_DATAIN_SIZE_0.f.DATAIN_HEIGHT.of(src.height - 1),
    );
    out.put(cdma, dma.D_DATAIN_SIZE_1, src.channel - 1);
    out.put(
      cdma,
      dma.D_DATAIN_SIZE_EXT_0,
      dma.D_DATAIN_SIZE_EXT_0.f.DATAIN_WIDTH_EXT.of(op.input_width_csc - 1) |
        dma.D_DATAIN_SIZE_EXT_0.f.DATAIN_HEIGHT_EXT.of(op.input_height_csc - 1),
    );
    out.put(cdma, dma.D_DAIN_RAM_TYPE, ramType(src.type));
    out.put(cdma, dma.D_DAIN_ADDR_HIGH_0, high32(input));
    out.put(cdma, dma.D_DAIN_ADDR_LOW_0, low32(input));
    out.put(cdma, dma.D_DAIN_ADDR_HIGH_1, high32(inputUv));
    out.put(cdma, dma.D_DAIN_ADDR_LOW_1, low32(inputUv));
    out.put(cdma, dma.D_LINE_STRIDE, layer.fits('src_data.line_stride', src.line_stride, dma.D_LINE_STRIDE));
    out.put(cdma, dma.D_SURF_STRIDE, layer.fits('src_data.surf_stride', src.surf_stride, dma.D_SURF_STRIDE));
    out.put(
      cdma,
      dma.D_LINE_UV_STRIDE,
      layer.view.getUint32(layer.surface + surface.in_line_uv_stride, true),
    );
    const lineBytes = src.width * config.atom;
    out.put(
      cdma,
      dma.D_DAIN_MAP,
      dma.D_DAIN_MAP.f.LINE_PACKED.of(src.line_stride === lineBytes ? 1 : 0) |
        dma.D_DAIN_MAP.f.SURF_PACKED.of(src.surf_stride === lineBytes * src.height ? 1 : 0),
    );
    out.put(cdma, dma.D_BATCH_NUMBER, op.batch - 1);
    out.put(cdma, dma.D_BATCH_STRIDE, op.batch_stride);
    out.put(cdma, dma.D_ENTRY_PER_SLICE, op.entry_per_slice - 1);
    out.put(cdma, dma.D_FETCH_GRAIN, op.fetch_grain - 1);
    out.put(cdma, dma.D_WEIGHT_FORMAT, op.weight_format);
    out.put(cdma, dma.D_WEIGHT_SIZE_0, op.bytes_per_kernel - 1);
    out.put(cdma, dma.D_WEIGHT_SIZE_1, dst.channel - 1);
    out.put(cdma, dma.D_WEIGHT_RAM_TYPE, ramType(weight.type));
    out.put(cdma, dma.D_WEIGHT_ADDR_HIGH, high32(weightAddress));
    out.put(cdma, dma.D_WEIGHT_ADDR_LOW, low32(weightAddress));
    out.put(cdma, dma.D_WEIGHT_BYTES, weight.size);
    if (compressed) {
      out.put(cdma, dma.D_WGS_ADDR_HIGH, high32(wgsAddress));
      out.put(cdma, dma.D_WGS_ADDR_LOW, low32(wgsAddress));
      out.put(cdma, dma.D_WMB_ADDR_HIGH, high32(wmbAddress));
      out.put(cdma, dma.D_WMB_ADDR_LOW, low32(wmbAddress));
      out.put(cdma, dma.D_WMB_BYTES, wmb.size);
    }
    out.put(cdma, dma.D_MEAN_FORMAT, op.mean_format);
    if (op.mean_format !== 0) {
      out.put(
        cdma,
        dma.D_MEAN_GLOBAL_0,
        dma.D_MEAN_GLOBAL_0.f.MEAN_RY.of(op.mean_ry) | dma.D_MEAN_GLOBAL_0.f.MEAN_GU.of(op.mean_gu),
      );
      out.put(
        cdma,
        dma.D_MEAN_GLOBAL_1,
        dma.D_MEAN_GLOBAL_1.f.MEAN_BV.of(op.mean_bv) | dma.D_MEAN_GLOBAL_1.f.MEAN_AX.of(op.mean_ax),
      );
    }
    if (inCvt.enable !== 0) {
      out.put(
        cdma,
        dma.D_CVT_CFG,
        dma.D_CVT_CFG.f.CVT_EN.of(1) | dma.D_CVT_CFG.f.CVT_TRUNCATE.of(inCvt.truncate),
      );
      out.put(cdma, dma.D_CVT_OFFSET, dma.D_CVT_OFFSET.f.CVT_OFFSET.of(inCvt.offset));
      out.put(cdma, dma.D_CVT_SCALE, dma.D_CVT_SCALE.f.CVT_SCALE.of(inCvt.scale));
    } else out.put(cdma, dma.D_CVT_CFG, 0);
    out.put(
      cdma,
      dma.D_CONV_STRIDE,
      dma.D_CONV_STRIDE.f.CONV_X_STRIDE.of(op.conv_stride_x - 1) |
        dma.D_CONV_STRIDE.f.CONV_Y_STRIDE.of(op.conv_stride_y - 1),
    );
    const pad = dma.D_ZERO_PADDING.f;
    out.put(
      cdma,
      dma.D_ZERO_PADDING,
      pad.PAD_LEFT.of(op.pad_x_left) |
        pad.PAD_RIGHT.of(op.pad_x_right) |
        pad.PAD_TOP.of(op.pad_y_top) |
        pad.PAD_BOTTOM.of(op.pad_y_bottom),
    );
    out.put(cdma, dma.D_ZERO_PADDING_VALUE, dma.D_ZERO_PADDING_VALUE.f.PAD_VALUE.of(op.pad_val));
    out.put(
      cdma,
      dma.D_BANK,
      dma.D_BANK.f.WEIGHT_BANK.of(op.weight_bank - 1) | dma.D_BANK.f.DATA_BANK.of(op.data_bank - 1),
    );
  }

  function check(layer: Layer): void {
    layer.between('conv_mode', op.conv_mode, 0, config.winograd ? WINOGRAD : 0);
    layer.between('weight_format', op.weight_format, 0, config.weightCompression ? COMPRESSED : 0);
    layer.between('data_format', op.data_format, 0, FORMAT_FEATURE);
    layer.between('pixel_mapping', op.pixel_mapping, 0, 0);
    layer.between('pixel_override', op.pixel_override, 0, 1);
    layer.between('mean_format', op.mean_format, 0, 1);
    layer.precision('in_precision', op.in_precision);
    layer.precision('out_precision', op.out_precision);
    layer.between('batch', op.batch, 1, config.maxBatch);
    layer.between('data_reuse', op.data_reuse, 0, 1);
    layer.between('weight_reuse', op.weight_reuse, 0, 1);
    layer.between('skip_data_rls', op.skip_data_rls, 0, 1);
    layer.between('skip_weight_rls', op.skip_weight_rls, 0, 1);
    layer.between('entry_per_slice', op.entry_per_slice, 1, dma.D_ENTRY_PER_SLICE.writeMask + 1);
    layer.between('fetch_grain', op.fetch_grain, 1, dma.D_FETCH_GRAIN.writeMask + 1);
    layer.between('release', op.release, 1, seq.D_RELEASE.writeMask + 1);
    layer.between('data_bank', op.data_bank, 1, config.cbuf.banks);
    layer.between('weight_bank', op.weight_bank, 1, config.cbuf.banks - op.data_bank);
    layer.between('input_width_csc', op.input_width_csc, 1, 8192);
    layer.between('input_height_csc', op.input_height_csc, 1, 8192);
    layer.between('input_channel_csc', op.input_channel_csc, 1, 8192);
    layer.between('kernel_width_csc', op.kernel_width_csc, 1, 32);
    layer.between('kernel_height_csc', op.kernel_height_csc, 1, 32);
    layer.between('kernel_channel_csc', op.kernel_channel_csc, 1, 8192);
    layer.between('input_width_cmac', op.input_width_cmac, 1, 8192);
    layer.between('input_height_cmac', op.input_height_cmac, 1, 8192);
    layer.between('bytes_per_kernel', op.bytes_per_kernel, 1, dma.D_WEIGHT_SIZE_0.writeMask + 1);
    layer.between('post_extension', op.post_extension, 0, 2);
    layer.between('conv_stride_x', op.conv_stride_x, 1, 8);
    layer.between('conv_stride_y', op.conv_stride_y, 1, 8);
    layer.between('dilation_x', op.dilation_x, 1, 32);
    layer.between('dilation_y', op.dilation_y, 1, 32);
    layer.between('pad_x_left', op.pad_x_left, 0, 31);
    layer.between('pad_x_right', op.pad_x_right, 0, 63);
    layer.between('pad_y_top', op.pad_y_top, 0, 31);
    layer.between('pad_y_bottom', op.pad_y_bottom, 0, 63);
    layer.between('pra_truncate', op.pra_truncate, 0, 3);
    layer.between('in_cvt.truncate', inCvt.truncate, 0, 63);
    layer.between('out_cvt.scale', outCvt.scale, 1, 1);
    layer.between('out_cvt.offset', outCvt.offset, 0, 0);
    layer.between('out_cvt.truncate', outCvt.truncate, 0, 31);
    layer.memory('src_data', src, MemType.CV);
    layer.memory('weight_data', weight, MemType.CV);
    layer.memory('dst_data', dst, MemType.HW);
    layer.extent('src_data', src);
    layer.extent('dst_data', dst);
    layer.fits('weight_data.size', weight.size, dma.D_WEIGHT_BYTES);
    layer.fits('dst_data.line_stride', dst.line_stride, acc.D_LINE_STRIDE);
    layer.fits('dst_data.surf_stride', dst.surf_stride, acc.D_SURF_STRIDE);
    if (dst.width === 1 && dst.height === 1 && dst.line_stride !== config.atom) {
      layer.reject('dst_data.line_stride', `${dst.line_stride}, of a 1x1 cube it is ${config.atom}`);
    }
    layer.rdma = false;
  }

  return new GroupedProcessor(hardware, {
    engine: 'conv',
    doneBit: interruptBit.CACC,
    units: [cacc, cmacA, cmacB, csc, cdma],
    checkIdle: true,
    encode,
    flushed() {
      for (let i = 0; i < FLUSH_POLLS; i++) {
        const word = hardware.read(cdma, dma.S_CBUF_FLUSH_STATUS);
        if (dma.S_CBUF_FLUSH_STATUS.f.FLUSH_DONE.get(word) === 1) return true;
      }
      return false;
    },
    statistics: {
      enable: { unit: cdma, register: dma.D_PERF_ENABLE },
      counters: [
        { unit: cdma, register: dma.D_PERF_DAT_READ_STALL, at: 0 },
        { unit: cdma, register: dma.D_PERF_WT_READ_STALL, at: 4 },
        { unit: cdma, register: dma.D_PERF_DAT_READ_LATENCY, at: 8 },
        { unit: cdma, register: dma.D_PERF_WT_READ_LATENCY, at: 12 },
        { unit: cacc, register: acc.D_OUT_SATURATION, at: 16 },
        { unit: cdma, register: dma.D_NAN_INPUT_DATA_NUM, at: 20 },
        { unit: cdma, register: dma.D_NAN_INPUT_WEIGHT_NUM, at: 24 },
        { unit: cdma, register: dma.D_INF_INPUT_DATA_NUM, at: 28 },
        { unit: cdma, register: dma.D_INF_INPUT_WEIGHT_NUM, at: 32 },
      ],
      runtime: 36,
    },
  });
}
