// What a driver declares about itself: the facts that the rules judge, beside what can be run.
// Not a verdict: policy/ gives that, and believes nothing that it can check.

/** Source that users can read, change and build. Paths are inside the package, or a public repository. */
export interface OpenSource {
  readonly source: string;
  /** SPDX identifier. */
  readonly licence: string;
  /** The command that builds it, run in a copy of the package: its first word is a program of node_modules/.bin, or `node`. */
  readonly build?: string;
}

/** A change of one place in one file, as text. */
export interface SourceEdit {
  /** Relative to the package. */
  readonly file: string;
  /** What stands there now; once in the file. */
  readonly from: string;
  readonly to: string;
  /** What it means, for people. */
  readonly what: string;
}

/** Rule U3, as data: openness is shown by changing something. */
export interface ChangeTest {
  /** Another tiling, another order: the program differs, its results do not. */
  readonly harmless: SourceEdit;
  /** A mistake that the goldens must notice. */
  readonly wrong: SourceEdit;
  /** Rebuilds what depends on the edited files; run in a copy of the package. */
  readonly build: string;
  /**
   * Exits with 0 when the goldens hold. Where its output is JSON with `results[].layers`, the harmless edit must also change
   * that number.
   */
  readonly verify: string;
}

export interface Manifest {
  /** The driver's name, as VERSION reports it. */
  readonly driver: string;
  readonly hardware: string;
  /** What the device is for. */
  readonly kind: 'compute' | 'codec' | 'camera' | 'display' | 'gpu';
  /** Drives a display or sets modes. */
  readonly display: boolean;
  /** Serves a graphics API: OpenGL, Vulkan, render nodes. */
  readonly render: boolean;
  /** How work reaches it. `frames`: the whole interface is frame in, frame out. */
  readonly commands: 'register-program' | 'descriptors' | 'queues' | 'firmware-messages' | 'frames' | 'none';
  /** Reports that a piece of work is done. */
  readonly completions: boolean;
  /** The driver in another subsystem that owns this hardware already, where there is one. */
  readonly partOf?: string;
  /** Nodes it creates. */
  readonly nodes: readonly ('accel' | 'render' | 'card' | 'char')[];
  /** Core services it does itself instead of using the core's. */
  readonly own: readonly ('files' | 'buffers' | 'fences' | 'events' | 'scheduling')[];
  /** Hardware contexts: how many files can be open at once. */
  readonly contexts: number | 'any';
  readonly runtime?: OpenSource;
  readonly compiler?: OpenSource;
  readonly changeTest?: ChangeTest;
  /** Whether the runtime named is the real user of the uAPI, not a demonstration. */
  readonly canonicalRuntime?: boolean;
  readonly firmware:
    | { readonly kind: 'none' }
    | { readonly kind: 'source'; readonly source: string; readonly licence: string }
    | {
        readonly kind: 'binary';
        readonly file: string;
        readonly licence: string;
        readonly redistributable: boolean;
        /** Versions the driver accepts; others are refused. */
        readonly versions: readonly string[];
      };
  /** Documents of the device and of the uAPI. */
  readonly documentation: readonly string[];
  /** For a driver in staging: who cares, since when, until when (ISO dates), and the rules it knows it breaks. */
  readonly staging?: Omit<StagingState, 'driver'>;
}

/** What a driver in staging says about itself, and a system with it about the driver. */
export interface StagingState {
  readonly driver: string;
  readonly owner: string;
  readonly since: string;
  readonly until: string;
  readonly failing: readonly string[];
}
