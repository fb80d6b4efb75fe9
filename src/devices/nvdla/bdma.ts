// BDMA's registers beyond storage: a queue of copies, launched in batches of group 0 or 1, and their status.
// Not a unit with register groups, and not the copying: engine/move.ts. Fact sheet sections 1.3, 2.9.
import type { NvdlaConfig, RegisterMap } from '../../hw/nvdla/config.js';
import { stallCycles, type Stream } from './cycles.js';
import { copyLayout, cubeLayout, operation } from './engine/command.js';
import { address, type Plan } from './plan/plan.js';
import type { Unit, UnitHandler } from './unit.js';

/** Commands the queue holds. */
const SLOTS = 20;
/** LINE counts in units of 32 bytes. */
const LINE_UNIT = 32;

type BdmaUnit = Unit<RegisterMap['units']['BDMA']>;

/** One queued command: the registers as they were when CFG_OP was written. */
interface Copy {
  readonly source: number;
  readonly destination: number;
  readonly sourceRam: number;
  readonly destinationRam: number;
  readonly bytes: number;
  readonly lines: number;
  readonly surfaces: number;
  readonly sourceLine: number;
  readonly sourceSurface: number;
  readonly destinationLine: number;
  readonly destinationSurface: number;
}

/** Copies that were launched together; `group` is told when all are done. */
interface Launch {
  readonly group: 0 | 1;
  readonly copies: readonly Copy[];
}

export interface BdmaOptions {
  /** The unit whose registers these are; asked when they are used. */
  unit(): BdmaUnit;
  /** Runs what `write` puts into a command; `done` is called when it is over, never for one that faults. */
  submit(write: (plan: Plan) => void, done: () => void): void;
  /** The group's interrupt is due. */
  complete(group: 0 | 1): void;
  /** Told what a launch that is over moved. */
  account(streams: readonly Stream[]): void;
  readonly config: NvdlaConfig;
  guestError(text: string): void;
}

export class Bdma {
  readonly #options: BdmaOptions;
  /** Queued, not launched. */
  #gathered: Copy[] = [];
  /** Launched, behind the one that runs. */
  #launched: Launch[] = [];
  #running = false;
  readonly #busy: [boolean, boolean] = [false, false];

  constructor(options: BdmaOptions) {
    this.#options = options;
  }

  readonly handlers: Partial<Record<string, UnitHandler>> = {
    CFG_OP: { write: (value) => ((value & 1) === 0 ? undefined : this.#queue()) },
    CFG_LAUNCH0: { write: (value) => ((value & 1) === 0 ? undefined : this.#launch(0)) },
    CFG_LAUNCH1: { write: (value) => ((value & 1) === 0 ? undefined : this.#launch(1)) },
    STATUS: { read: () => this.#status() },
  };

  reset(): void {
    this.#gathered = [];
    this.#launched = [];
    this.#running = false;
    this.#busy[0] = this.#busy[1] = false;
  }

  /** A launch that runs holds no slots: the reading side has taken its commands. */
  get #waiting(): number {
    return this.#launched.reduce((sum, { copies }) => sum + copies.length, this.#gathered.length);
  }

  #status(): number {
    const { STATUS } = this.#options.unit().table;
    const waiting = this.#waiting;
    return (
      STATUS.f.FREE_SLOT.of(SLOTS - waiting) |
      STATUS.f.IDLE.of(waiting === 0 && !this.#running ? 1 : 0) |
      STATUS.f.GRP0_BUSY.of(this.#busy[0] ? 1 : 0) |
      STATUS.f.GRP1_BUSY.of(this.#busy[1] ? 1 : 0)
    );
  }

  #queue(): void {
    if (this.#waiting === SLOTS) {
      this.#options.guestError(`BDMA: a command beyond the ${SLOTS} that the queue holds is dropped`);
      return;
    }
    const unit = this.#options.unit();
    const { table: r } = unit;
    this.#gathered.push({
      source: address(unit.word(r.CFG_SRC_ADDR_HIGH), unit.word(r.CFG_SRC_ADDR_LOW)),
      destination: address(unit.word(r.CFG_DST_ADDR_HIGH), unit.word(r.CFG_DST_ADDR_LOW)),
      sourceRam: unit.get('CFG_CMD', 'SRC_RAM_TYPE'),
      destinationRam: unit.get('CFG_CMD', 'DST_RAM_TYPE'),
      bytes: (unit.get('CFG_LINE', 'SIZE') + 1) * LINE_UNIT,
      lines: unit.get('CFG_LINE_REPEAT', 'NUMBER') + 1,
      surfaces: unit.get('CFG_SURF_REPEAT', 'NUMBER') + 1,
      sourceLine: unit.word(r.CFG_SRC_LINE),
      sourceSurface: unit.word(r.CFG_SRC_SURF),
      destinationLine: unit.word(r.CFG_DST_LINE),
      destinationSurface: unit.word(r.CFG_DST_SURF),
    });
  }

  #launch(group: 0 | 1): void {
    this.#busy[group] = true;
    if (this.#gathered.length === 0) {
      // The hardware counts down from the commands there are, so it never gets to the last one.
      this.#options.guestError(`BDMA: group ${group} is launched without a command: it does not complete`);
      return;
    }
    this.#launched.push({ group, copies: this.#gathered });
    this.#gathered = [];
    this.#next();
  }

  /** Stalls of a launch that is over, when they are counted. */
  #count(launch: Launch): void {
    const { config } = this.#options;
    const unit = this.#options.unit();
    const streams = streamsOf(launch, config.cvsram);
    if (unit.get('CFG_STATUS', 'STALL_COUNT_EN') !== 0) {
      const stalls = new Map<string, number>();
      for (const stream of streams)
        stalls.set(stream.stall, (stalls.get(stream.stall) ?? 0) + stallCycles(config, stream));
      for (const [register, cycles] of stalls) unit.set(register as keyof BdmaUnit['table'], cycles);
    }
    this.#options.account(streams);
  }

  #next(): void {
    const launch = this.#running ? undefined : this.#launched.shift();
    if (launch === undefined) return;
    this.#running = true;
    this.#options.submit(
      (plan) => write(plan, launch.copies),
      () => {
        this.#running = false;
        this.#busy[launch.group] = false;
        this.#count(launch);
        this.#options.complete(launch.group);
        this.#next();
      },
    );
  }
}

/** What copies read and write, for the counters of their group. */
function streamsOf({ copies, group }: Launch, cvsram: boolean): Stream[] {
  const port = (ramType: number): 0 | 1 => (ramType === 0 && cvsram ? 1 : 0);
  return copies.flatMap(({ bytes, lines, surfaces, sourceRam, destinationRam }): Stream[] => {
    const moved = bytes * lines * surfaces;
    const stall = (access: string): string => `STATUS_GRP${group}_${access}_STALL`;
    return [
      { unit: 'BDMA', port: port(sourceRam), access: 'read', bytes: moved, stall: stall('READ') },
      { unit: 'BDMA', port: port(destinationRam), access: 'write', bytes: moved, stall: stall('WRITE') },
    ];
  });
}

function write(plan: Plan, copies: readonly Copy[]): void {
  plan.writer.word(operation.copy).word(copies.length);
  for (const copy of copies) {
    const { bytes, lines, surfaces } = copy;
    const shape = { width: bytes, height: lines, surfaces, pixel: 1 };
    plan.writer
      .block(copyLayout, { bytes, lines, surfaces })
      .block(
        cubeLayout,
        plan.cube(copy.source, shape, copy.sourceLine, copy.sourceSurface, 'read', copy.sourceRam),
      )
      .block(
        cubeLayout,
        plan.cube(
          copy.destination,
          shape,
          copy.destinationLine,
          copy.destinationSurface,
          'write',
          copy.destinationRam,
        ),
      );
  }
}
