// The staging area: which drivers may load, and what a system with one of them says about itself.
// Not a quarantine: a staging driver has its node and all generic calls; its own uAPI has no promise.
import { AccelError } from '../base/errors.js';
import type { Manifest, StagingState } from '../core/manifest.js';

/**
 * Whether a driver may load. Returns its staging state, or undefined for a driver that is not in staging.
 * @throws AccelError EPERM when it is in staging and was not asked for, or its date has passed
 */
export function admit(
  manifest: Manifest,
  options: { staging: boolean; today: string },
): StagingState | undefined {
  const { staging, driver } = manifest;
  if (staging === undefined) return undefined;
  const { owner, since, until, failing } = staging;
  if (options.today > until) {
    throw new AccelError('EPERM', {
      field: driver,
      reason: `its time in staging ended on ${until} (owner: ${owner})`,
    });
  }
  if (!options.staging) {
    const rules = failing.join(', ');
    throw new AccelError('EPERM', {
      field: driver,
      reason: `is in staging until ${until} (open rules: ${rules}): load it with --staging`,
    });
  }
  return { driver, owner, since, until, failing };
}
