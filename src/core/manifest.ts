// What a driver declares about itself: the facts that the rules judge, beside what can be run.
// Not a verdict: policy/ gives that, and believes nothing that it can check.

/** Source that users can read, change and build. Paths are inside the package, or a public repository. */
export interface OpenSource {
  readonly source: string;
  /** SPDX identifier. */
  readonly licence: string;
  /** What builds it; exercised by the change test. */
  readonly build?: string;
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
