// The fact sheet's arithmetic in plain loops over doubles, exact: what the SIMD kernels are held to.
// Not the model: it reads the same commands, and shares nothing with the kernels.

export type Fields = Record<string, number>;

/** Memory as the commands see it, and the saturation flag of the layer. */
export class Reference {
  saturated = 0;
  readonly #view: DataView;

  constructor(buffer: ArrayBuffer) {
    this.#view = new DataView(buffer);
  }

  sat32(value: number): number {
    return this.#clamp(value, -(2 ** 31), 2 ** 31 - 1);
  }

  #clamp(value: number, low: number, high: number): number {
    if (value < low || value > high) this.saturated = 1;
    return Math.min(Math.max(value, low), high);
  }

  #load(at: number, bytes: number): number {
    if (bytes === 0) return 0;
    if (bytes === 1) return this.#view.getInt8(at);
    return bytes === 2 ? this.#view.getInt16(at, true) : this.#view.getInt32(at, true);
  }

  #store(at: number, bytes: number, value: number): void {
    if (bytes === 1) this.#view.setInt8(at, value);
    else if (bytes === 2) this.#view.setInt16(at, value, true);
    else this.#view.setInt32(at, value, true);
  }

  /** Section 5.10. */
  #activate(x: number, p: Fields): number {
    const segment = (i: number): { base: number; code: number; y: number; slope: number } => {
      const at = p['segments']! + 8 * i;
      const word = this.#load(at, 4);
      return { base: word & ~3, code: word & 3, y: this.#load(at + 4, 2), slope: this.#load(at + 6, 2) };
    };
    let chosen = segment(0);
    let y = chosen.y;
    if (x > chosen.base) {
      for (let i = 1; i < p['segmentCount']!; i++) if (segment(i).base <= x) chosen = segment(i);
      y = Math.floor(((x - chosen.base) * chosen.slope) / 2 ** (8 * (chosen.code + 1))) + chosen.y;
    }
    const half = 2 ** (8 * p['outputBytes']! - 1);
    return this.#clamp(y, -half, half - 1);
  }

  #put(p: Fields, index: number, sum: number): void {
    const bytes = p['outputBytes']!;
    if (bytes === 0) this.#store(p['output']! + 4 * index, 4, sum);
    else this.#store(p['output']! + bytes * index, bytes, this.#activate(sum, p));
  }

  #row(p: Fields, row: number, inputs: number, x: (k: number) => number): number {
    const { weights, weightBytes, bias, biasBytes, biasStride, scale, chunk } = p;
    const mul = scale === 0 ? 1 : this.#view.getUint8(scale! + 8 * row);
    let sum = this.#load(bias! + row * biasStride!, biasBytes!);
    for (let k0 = 0; k0 < inputs; k0 += chunk!) {
      let dot = 0;
      for (let k = k0; k < Math.min(inputs, k0 + chunk!); k++)
        dot += this.#load(weights! + (row * inputs + k) * weightBytes!, weightBytes!) * x(k);
      sum = this.sat32(sum + mul * dot);
    }
    return sum;
  }

  affine(p: Fields): void {
    const { inputs, outputs, groups, inputBytes, input, list } = p;
    for (let m = 0; m < outputs!; m++) {
      const row = list === 0 ? m : this.#view.getUint32(list! + 4 * m, true);
      for (let n = 0; n < groups!; n++) {
        const x = (k: number): number => this.#load(input! + (k * groups! + n) * inputBytes!, inputBytes!);
        this.#put(p, m * groups! + n, this.#row(p, row, inputs!, x));
      }
    }
  }

  diagonal(p: Fields): void {
    const { outputs, groups, inputBytes, input, weights, weightBytes, bias, biasBytes, biasStride, scale } =
      p;
    for (let m = 0; m < outputs!; m++) {
      const mul = scale === 0 ? 1 : this.#view.getUint8(scale! + 8 * m);
      const w = this.#load(weights! + m * weightBytes!, weightBytes!);
      for (let n = 0; n < groups!; n++) {
        const x = this.#load(input! + (m * groups! + n) * inputBytes!, inputBytes!);
        const sum = this.sat32(this.#load(bias! + m * biasStride!, biasBytes!) + w * mul * x);
        this.#put(p, m * groups! + n, sum);
      }
    }
  }

  recurrent(p: Fields): void {
    const { inputs, outputs, vectors, inputBytes, input, feedback, outputBytes } = p;
    for (let t = 0; t < vectors!; t++) {
      const x = (k: number): number =>
        k < inputs!
          ? this.#load(input! + (t * inputs! + k) * inputBytes!, inputBytes!)
          : this.#load(feedback! + (t * outputs! + k - inputs!) * outputBytes!, outputBytes!);
      const sums = Array.from({ length: outputs! }, (_, m) => this.#row(p, m, inputs! + outputs!, x));
      for (const [m, sum] of sums.entries()) this.#put(p, t * outputs! + m, sum);
    }
  }

  conv(p: Fields): void {
    const { width, height, depth, elementBytes: bytes, filters, kernelWidth, kernelHeight } = p as Fields;
    const { convWidth, convHeight, pool, poolWidth, poolHeight, outWidth, outHeight } = p as Fields;
    const sumAt = (y: number, x: number, f: number): number => {
      let sum = this.#load(p['bias']! + f * p['biasBytes']!, p['biasBytes']!);
      for (let r = 0; r < kernelHeight!; r++)
        for (let s = 0; s < kernelWidth!; s++)
          for (let d = 0; d < depth!; d++) {
            const iy = y * p['strideHeight']! + r - p['padHeight']!;
            const ix = x * p['strideWidth']! + s - p['padWidth']!;
            if (iy < 0 || ix < 0 || iy >= height! || ix >= width!) continue;
            const w = p['weights']! + f * p['filterPitch']! + ((r * kernelWidth! + s) * depth! + d) * bytes!;
            const at = p['input']! + ((iy * width! + ix) * depth! + d) * bytes!;
            sum += this.#load(w, bytes!) * this.#load(at, bytes!);
          }
      return sum;
    };
    const element = p['outputBytes'] || 4;
    const limit = element === 1 ? 2 ** 15 : 2 ** 31;
    const half = 2 ** (8 * element - 1);
    for (let f = 0; f < filters!; f++) {
      const sums = Array.from({ length: convHeight! }, (_, y) =>
        Array.from({ length: convWidth! }, (_, x) => sumAt(y, x, f)),
      );
      const values =
        p['legacy'] === 1
          ? sums
          : sums.map((line) =>
              line.map((sum) => {
                const sat = this.sat32(sum);
                return p['outputBytes'] === 0 ? sat : this.#activate(sat, p);
              }),
            );
      for (let oy = 0; oy < outHeight!; oy++)
        for (let ox = 0; ox < outWidth!; ox++) {
          const index = (oy * outWidth! + ox) * filters! + f;
          const window: number[] = [];
          if (pool === 0) window.push(values[oy]![ox]!);
          else
            for (let x = ox * p['poolStrideWidth']!; x < ox * p['poolStrideWidth']! + poolWidth!; x++)
              for (let y = oy * p['poolStrideHeight']!; y < oy * p['poolStrideHeight']! + poolHeight!; y++)
                if (x < convWidth! && y < convHeight!) window.push(values[y]![x]!);
          if (p['legacy'] === 1) {
            const wide = pool === 2 ? window.reduce((a, b) => a + b) : Math.max(...window);
            this.#put(p, index, this.sat32(wide));
          } else {
            let value = Math.max(...window);
            if (pool === 2) {
              value = 0;
              for (const each of window) value = this.#clamp(value + each, -limit, limit - 1);
              value = this.#clamp(value, -half, half - 1);
            }
            this.#store(p['output']! + index * element, element, value);
          }
        }
    }
  }

  copy({ rows, columns, elementBytes: bytes, input, inputPitch, output, outputPitch }: Fields): void {
    for (let r = 0; r < rows!; r++)
      for (let c = 0; c < columns!; c++) {
        const value = this.#load(input! + (r * inputPitch! + c) * bytes!, bytes!);
        this.#store(output! + (r * outputPitch! + c) * bytes!, bytes!, value);
      }
  }

  transpose({ rows, columns, elementBytes: bytes, input, output }: Fields): void {
    for (let r = 0; r < rows!; r++)
      for (let c = 0; c < columns!; c++) {
        const value = this.#load(input! + (r * columns! + c) * bytes!, bytes!);
        this.#store(output! + (c * rows! + r) * bytes!, bytes!, value);
      }
  }

  gmm(p: Fields): void {
    const { vectors, length, mixtures, rows, varianceBytes, maxScore, list } = p;
    for (let row = 0; row < rows!; row++) {
      const state = list === 0 ? row : this.#view.getUint32(list! + 4 * row, true);
      for (let n = 0; n < vectors!; n++) {
        let best = maxScore! >>> 0;
        for (let m = 0; m < mixtures!; m++) {
          let sum = this.#view.getUint32(p['constants']! + state * p['constantStride']! + 4 * m, true);
          for (let i = 0; i < length!; i++) {
            const mean = this.#view.getUint8(p['means']! + state * p['meanStride']! + m * length! + i);
            const d = this.#view.getUint8(p['features']! + n * p['featurePitch']! + i) - mean;
            const at = p['variances']! + state * p['varianceStride']! + (m * length! + i) * varianceBytes!;
            sum += d * d * (varianceBytes === 1 ? this.#view.getUint8(at) : this.#view.getUint16(at, true));
          }
          best = Math.min(best, sum);
        }
        if (best === maxScore! >>> 0) this.saturated = 1;
        this.#view.setUint32(p['scores']! + 4 * (row * vectors! + n), best, true);
      }
    }
  }
}
