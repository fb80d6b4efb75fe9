// dma-bufs: a buffer as a descriptor, so that it can go to another file, device or process. DRM's PRIME.
// Not a copy: the descriptor holds the GEM object itself.
import { AccelError } from '../base/errors.js';
import { OpenFile } from './fd-table.js';
import type { GemObject } from './gem.js';

/** The dma-buf of a GEM object. One per object for its whole life, however often it is exported. */
export class DmaBuf extends OpenFile {
  readonly kind = 'dmabuf';
  readonly gem: GemObject;

  private constructor(gem: GemObject) {
    super();
    this.gem = gem;
  }

  /** The dma-buf of `gem`, made on first use. */
  static of(gem: GemObject): DmaBuf {
    return (gem.dmaBuf ??= new DmaBuf(gem)) as DmaBuf;
  }

  override get(): this {
    if (this.references === 0) this.gem.get();
    return super.get();
  }

  protected release(): void {
    this.gem.put();
  }

  override fdinfo(): string {
    return `size:\t${this.gem.size}\ncount:\t${this.references}\nexp_name:\taccel\n`;
  }
}

/** The buffer behind a descriptor's file. @throws AccelError EINVAL when it is not a dma-buf */
export function gemOf(file: OpenFile): GemObject {
  if (file instanceof DmaBuf) return file.gem;
  throw new AccelError('EINVAL', { field: 'fd', reason: `a ${file.kind}, not a dma-buf` });
}
