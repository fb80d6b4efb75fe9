// The files that programs look for around a device: /dev, sysfs, debugfs. Core fact sheet sections 1 and 11.
// Not a file system: a table of paths, made of the devices there are now.
import { AccelError } from '../../base/errors.js';
import { ACCEL_MAJOR, type AccelDevice } from '../../core/index.js';
import type { Machine, MachineDevice } from '../../machine/index.js';

/** Character major of DRM: for drivers whose programs look there, and for `--dri`. The accel class exists to keep graphics programs away. */
export const DRM_MAJOR = 226;
/** First minor of render nodes. */
const RENDER_MINOR = 128;

export const S_IFCHR = 0o020000;
export const S_IFDIR = 0o040000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;

export type TreeEntry =
  | { readonly type: 'node'; readonly device: AccelDevice; readonly number: readonly [number, number] }
  | { readonly type: 'sw_sync' }
  | { readonly type: 'file'; readonly text: () => string | Uint8Array }
  | { readonly type: 'link'; readonly target: string }
  | { readonly type: 'dir'; readonly names: Set<string> };

export interface TreeOptions {
  /** All devices are shown as /dev/dri/cardN and renderDN too; without it, those whose driver says so as renderDN. */
  readonly dri: boolean;
}

/** Longest chain of links. */
const MAX_LINKS = 16;

/** A file `uevent` or `dev`: lines of text. */
const lines =
  (...rows: string[]): (() => string) =>
  () =>
    rows.map((row) => `${row}\n`).join('');
const hex = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, '0')}`;

export class Tree {
  readonly #entries = new Map<string, TreeEntry>();
  readonly #prefixes = new Set<string>();
  readonly #dri: boolean;

  constructor(machine: Machine, { dri }: TreeOptions) {
    this.#dri = dri;
    this.#claim('/dev/accel', '/sys/class/accel', `/sys/dev/char/${ACCEL_MAJOR}:`, '/sys/kernel/debug/accel');
    this.#dir('/dev/accel');
    this.#dir('/sys/class/accel');
    if (dri || machine.devices.some(({ accel }) => accel?.driver.renderNode === true)) {
      this.#claim('/dev/dri', '/sys/class/drm', `/sys/dev/char/${DRM_MAJOR}:`, '/sys/kernel/debug/dri');
      this.#dir('/dev/dri');
      this.#dir('/sys/class/drm');
    }
    for (const path of ['/dev/sw_sync', '/sys/kernel/debug/sync/sw_sync', '/sys/kernel/debug/sw_sync']) {
      this.#claim(path);
      this.#put(path, { type: 'sw_sync' });
    }
    for (const device of machine.devices) this.#device(device);
  }

  /** Paths that begin so are ours; the next character is the end or a slash, unless the prefix ends with a colon. */
  get prefixes(): readonly string[] {
    return [...this.#prefixes];
  }

  /**
   * What is at `path`, absolute and without dots; `follow` the last part when it is a link.
   * @throws AccelError ENOENT, ENOTDIR, EINVAL for links in a circle
   */
  find(path: string, follow: boolean): { readonly path: string; readonly entry: TreeEntry } {
    let parts = path.split('/').filter((part) => part !== '');
    let links = 0;
    let at = '';
    for (let i = 0; i < parts.length; i++) {
      const next = `${at}/${parts[i]}`;
      const entry = this.#entries.get(next);
      if (entry?.type === 'link' && (follow || i < parts.length - 1)) {
        if (++links > MAX_LINKS)
          throw new AccelError('EINVAL', { field: 'path', reason: `${path}: too many links` });
        parts = normalize(`${at}/${entry.target}`, entry.target).concat(parts.slice(i + 1));
        at = '';
        i = -1;
        continue;
      }
      if (entry === undefined) throw missing(path);
      if (entry.type !== 'dir' && i < parts.length - 1)
        throw new AccelError('ENOTDIR', { field: 'path', reason: path });
      at = next;
    }
    const entry = this.#entries.get(at);
    if (entry === undefined) throw missing(path);
    return { path: at, entry };
  }

  /** Makes the folders on the way. */
  #put(path: string, entry: TreeEntry): void {
    this.#entries.set(path, entry);
    const cut = path.lastIndexOf('/');
    if (cut <= 0) return;
    this.#dir(path.slice(0, cut)).names.add(path.slice(cut + 1));
  }

  #dir(path: string): { readonly type: 'dir'; readonly names: Set<string> } {
    const known = this.#entries.get(path);
    if (known?.type === 'dir') return known;
    const made = { type: 'dir', names: new Set<string>() } as const;
    this.#put(path, made);
    return made;
  }

  #claim(...prefixes: string[]): void {
    for (const prefix of prefixes) this.#prefixes.add(prefix);
  }

  #file(path: string, text: () => string | Uint8Array): void {
    this.#put(path, { type: 'file', text });
  }

  #device(device: MachineDevice): void {
    const { accel } = device;
    if (accel === undefined) return;
    const parent = this.#parent(device, accel);
    this.#class(accel, parent, 'accel', `accel${accel.minor}`, ACCEL_MAJOR, accel.minor, 'accel');
    const debug = `/sys/kernel/debug/accel/${accel.busName}`;
    this.#file(`${debug}/name`, lines(`${accel.driver.name} dev=${accel.busName} unique=${accel.busName}`));
    this.#put(`/sys/kernel/debug/accel/${accel.minor}`, { type: 'link', target: accel.busName });
    if (!this.#dri && accel.driver.renderNode !== true) return;
    const render = RENDER_MINOR + accel.minor;
    this.#class(accel, parent, 'drm', `renderD${render}`, DRM_MAJOR, render, 'dri');
    if (!this.#dri) return;
    this.#class(accel, parent, 'drm', `card${accel.minor}`, DRM_MAJOR, accel.minor, 'dri');
    this.#file(
      `/sys/kernel/debug/dri/${accel.minor}/name`,
      lines(`${accel.driver.name} dev=${accel.busName} unique=${accel.busName}`),
    );
  }

  /** The device's own folder in /sys/devices. */
  #parent({ spec }: MachineDevice, accel: AccelDevice): string {
    const { busName, driver } = accel;
    const pci = spec.bus === 'pci';
    const parent = pci
      ? `/sys/devices/pci${busName.slice(0, 7)}/${busName}`
      : `/sys/devices/platform/${busName}`;
    this.#claim(
      parent,
      `/sys/bus/${spec.bus}/devices/${busName}`,
      `/sys/bus/${spec.bus}/drivers/${driver.name}`,
    );
    this.#put(`/sys/bus/${spec.bus}/devices/${busName}`, {
      type: 'link',
      target: `../../..${parent.slice('/sys'.length)}`,
    });
    this.#put(`/sys/bus/${spec.bus}/drivers/${driver.name}/${busName}`, {
      type: 'link',
      target: `../../../..${parent.slice('/sys'.length)}`,
    });
    const up = '../../..';
    this.#put(`${parent}/subsystem`, { type: 'link', target: `${up}/bus/${spec.bus}` });
    this.#put(`${parent}/driver`, { type: 'link', target: `${up}/bus/${spec.bus}/drivers/${driver.name}` });
    if (spec.bus === 'platform') {
      this.#file(
        `${parent}/uevent`,
        lines(
          `DRIVER=${driver.name}`,
          `OF_NAME=${busName.split('.')[1]}`,
          `OF_FULLNAME=/${busName.split('.').reverse().join('@')}`,
          ...spec.compatible.map((name, i) => `OF_COMPATIBLE_${i}=${name}`),
          `OF_COMPATIBLE_N=${spec.compatible.length}`,
        ),
      );
      return parent;
    }
    const { vendor, device, revision, classCode } = spec.identity;
    const id = (value: number): string => value.toString(16).toUpperCase().padStart(4, '0');
    this.#file(
      `${parent}/uevent`,
      lines(
        `DRIVER=${driver.name}`,
        `PCI_CLASS=${classCode.toString(16).toUpperCase()}`,
        `PCI_ID=${id(vendor)}:${id(device)}`,
        'PCI_SUBSYS_ID=0000:0000',
        `PCI_SLOT_NAME=${busName}`,
      ),
    );
    this.#file(`${parent}/vendor`, lines(hex(vendor, 4)));
    this.#file(`${parent}/device`, lines(hex(device, 4)));
    this.#file(`${parent}/revision`, lines(hex(revision, 2)));
    this.#file(`${parent}/class`, lines(hex(classCode, 6)));
    this.#file(`${parent}/subsystem_vendor`, lines(hex(0, 4)));
    this.#file(`${parent}/subsystem_device`, lines(hex(0, 4)));
    return parent;
  }

  /** One minor: its node, its folder under the parent, and the links that lead there. */
  #class(
    accel: AccelDevice,
    parent: string,
    subsystem: 'accel' | 'drm',
    name: string,
    major: number,
    minor: number,
    folder: 'accel' | 'dri',
  ): void {
    const node = `${folder}/${name}`;
    this.#put(`/dev/${node}`, { type: 'node', device: accel, number: [major, minor] });
    const own = `${parent}/${subsystem}/${name}`;
    const below = own.slice('/sys'.length);
    this.#put(`/sys/class/${subsystem}/${name}`, { type: 'link', target: `../..${below}` });
    this.#put(`/sys/dev/char/${major}:${minor}`, { type: 'link', target: `../..${below}` });
    // With the name, as sysfs has it: programs take the last part for the device's.
    this.#put(`${own}/device`, { type: 'link', target: `../../../${accel.busName}` });
    this.#put(`${own}/subsystem`, { type: 'link', target: `/sys/class/${subsystem}` });
    this.#file(`${own}/dev`, lines(`${major}:${minor}`));
    const type = subsystem === 'accel' ? 'accel_minor' : 'drm_minor';
    this.#file(
      `${own}/uevent`,
      lines(`MAJOR=${major}`, `MINOR=${minor}`, `DEVNAME=${node}`, `DEVTYPE=${type}`),
    );
  }
}

/** The parts of an absolute path, dots resolved; a target that is absolute stands for itself. */
function normalize(path: string, target: string): string[] {
  const parts: string[] = [];
  for (const part of (target.startsWith('/') ? target : path).split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts;
}

function missing(path: string): AccelError {
  return new AccelError('ENOENT', { field: 'path', reason: `${path} does not exist` });
}
