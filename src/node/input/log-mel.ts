// Samples to log-mel frames: how much power each band of a hearing-like scale has, in dB. As librosa's melspectrogram has it by default.
// Not windows for a model: audio.ts puts frames together.

export interface LogMelOptions {
  /** Samples per second. */
  readonly rate: number;
  /** Samples per frame, a power of 2. */
  readonly fft: number;
  /** Samples from a frame to the next. */
  readonly hop: number;
  readonly bands: number;
}

/** Added to powers before the logarithm: 2^-52, so that silence is -157 dB. */
const LEAST = Number.EPSILON;

/**
 * Frames of `bands` numbers, one per `hop` samples: power spectrum under a periodic Hann window centred on the place, the recording mirrored at
 * its ends; triangular bands of equal area, even on Slaney's mel scale from 0 to half the rate; 10 log10.
 * Recordings of no more than half a frame have none.
 */
export function logMelFrames(samples: Float32Array, options: LogMelOptions): Float32Array[] {
  const { fft, hop, bands } = options;
  const half = fft / 2;
  if (samples.length <= half) return [];
  const filters = bandFilters(options);
  const hann = Float64Array.from({ length: fft }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / fft));
  const last = samples.length - 1;
  const at = (place: number): number =>
    samples[place < 0 ? -place : place > last ? 2 * last - place : place]!;
  const transform = new Fft(fft);
  return Array.from({ length: 1 + Math.floor(samples.length / hop) }, (_, frame) => {
    const start = frame * hop - half;
    const power = transform.power((i) => at(start + i) * hann[i]!);
    return Float32Array.from({ length: bands }, (_, band) => {
      const { first, weights } = filters[band]!;
      const sum = weights.reduce((total, weight, i) => total + weight * power[first + i]!, 0);
      return 10 * Math.log10(sum + LEAST);
    });
  });
}

interface BandFilter {
  /** The first bin of the spectrum with a weight. */
  readonly first: number;
  readonly weights: Float64Array;
}

function bandFilters({ rate, fft, bands }: LogMelOptions): BandFilter[] {
  const top = melOf(rate / 2);
  const edges = Float64Array.from({ length: bands + 2 }, (_, i) => hertzOf((top * i) / (bands + 1)));
  const bins = fft / 2 + 1;
  return Array.from({ length: bands }, (_, band) => {
    const [low, middle, high] = [edges[band]!, edges[band + 1]!, edges[band + 2]!];
    const weight = (bin: number): number => {
      const hertz = (bin * rate) / fft;
      const triangle = Math.min((hertz - low) / (middle - low), (high - hertz) / (high - middle));
      return (Math.max(0, triangle) * 2) / (high - low);
    };
    const first = Math.max(0, Math.ceil((low * fft) / rate));
    const end = Math.min(bins, Math.floor((high * fft) / rate) + 1);
    return {
      first,
      weights: Float64Array.from({ length: Math.max(0, end - first) }, (_, i) => weight(first + i)),
    };
  });
}

// Slaney's scale: linear to 1 kHz, 15 mels there, then 27 mels for each factor of 6.4.
const LINEAR = 200 / 3;
const KNEE = 1000;
const STEP = Math.log(6.4) / 27;

function melOf(hertz: number): number {
  return hertz < KNEE ? hertz / LINEAR : KNEE / LINEAR + Math.log(hertz / KNEE) / STEP;
}

function hertzOf(mel: number): number {
  return mel < KNEE / LINEAR ? mel * LINEAR : KNEE * Math.exp(STEP * (mel - KNEE / LINEAR));
}

/** Power spectra of real frames of one size, a power of 2. */
class Fft {
  readonly #size: number;
  readonly #re: Float64Array;
  readonly #im: Float64Array;
  /** Where element i goes: its bits reversed. */
  readonly #order: Uint32Array;

  constructor(size: number) {
    this.#size = size;
    this.#re = new Float64Array(size);
    this.#im = new Float64Array(size);
    const bits = Math.log2(size);
    this.#order = Uint32Array.from({ length: size }, (_, i) => {
      let turned = 0;
      for (let bit = 0; bit < bits; bit++) turned |= ((i >> bit) & 1) << (bits - 1 - bit);
      return turned;
    });
  }

  /** size / 2 + 1 squares of magnitudes. */
  power(sample: (i: number) => number): Float64Array {
    const [size, re, im] = [this.#size, this.#re, this.#im];
    for (let i = 0; i < size; i++) re[this.#order[i]!] = sample(i);
    im.fill(0);
    for (let span = 1; span < size; span *= 2) {
      for (let k = 0; k < span; k++) {
        const angle = (-Math.PI * k) / span;
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        for (let i = k; i < size; i += 2 * span) {
          const j = i + span;
          const [x, y] = [re[j]! * c - im[j]! * s, re[j]! * s + im[j]! * c];
          re[j] = re[i]! - x;
          im[j] = im[i]! - y;
          re[i]! += x;
          im[i]! += y;
        }
      }
    }
    return Float64Array.from({ length: size / 2 + 1 }, (_, k) => re[k]! ** 2 + im[k]! ** 2);
  }
}
