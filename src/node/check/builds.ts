// Openness tried out in a scratch copy: runtime and compiler built from source (U1, U2), and the change test (U3).
// Not a judgement of the source: that it builds, and that a change of it shows.
import type { ChangeTest, Manifest, OpenSource } from '../../core/manifest.js';
import type { Evidence, Finding } from '../../policy/index.js';
import { Scratch } from './scratch.js';
import type { Sources } from './subject.js';
import { errorText, seconds } from './text.js';

const finding = (passed: boolean, evidence: string): Finding => ({ passed, evidence });

/** Builds and changes a copy of the sources. `step` hears what is being done. */
export async function builds(
  manifest: Manifest,
  sources: Sources,
  step: (what: string) => void,
): Promise<Pick<Evidence, 'runtimeBuild' | 'compilerBuild' | 'changeTest'>> {
  step('copying the sources');
  using scratch = new Scratch(sources);
  const { runtime, compiler, changeTest } = manifest;
  const compilerBuild = await built(scratch, compiler, step);
  const runtimeBuild = await built(scratch, runtime, step);
  return {
    ...(compilerBuild === undefined ? {} : { compilerBuild }),
    ...(runtimeBuild === undefined ? {} : { runtimeBuild }),
    changeTest:
      changeTest === undefined
        ? finding(false, 'the manifest names no change test')
        : await changed(scratch, changeTest, step),
  };
}

async function built(
  scratch: Scratch,
  source: OpenSource | undefined,
  step: (what: string) => void,
): Promise<Finding | undefined> {
  if (source === undefined) return undefined;
  if (source.build === undefined) return finding(false, 'the manifest names no build');
  step(source.build);
  const { code, last, ms } = await scratch.run(source.build);
  return code === 0
    ? finding(true, `built from source in a copy with ${source.build}, ${seconds(ms)}`)
    : finding(false, `${source.build} ended with ${code}: ${last}`);
}

/** Hardware layers of the goldens' models, where the verify command tells them. */
function layersOf(out: string): number | undefined {
  try {
    const { results } = JSON.parse(out) as { results: readonly { layers?: number }[] };
    const layers = results.map((result) => result.layers ?? NaN).reduce((a, b) => Math.max(a, b), 0);
    return Number.isNaN(layers) ? undefined : layers;
  } catch {
    return undefined;
  }
}

async function changed(scratch: Scratch, test: ChangeTest, step: (what: string) => void): Promise<Finding> {
  const { harmless, wrong, build, verify } = test;
  const make = async (what: string): Promise<string | undefined> => {
    step(`${what}: ${build}`);
    const { code, last } = await scratch.run(build);
    return code === 0 ? undefined : `${what}: ${build} ended with ${code}: ${last}`;
  };
  try {
    const unbuilt = await make('unchanged');
    if (unbuilt !== undefined) return finding(false, unbuilt);
    step('goldens, unchanged');
    const original = await scratch.run(verify);
    if (original.code !== 0)
      return finding(
        false,
        `the goldens fail without an edit: ${verify} ended with ${original.code}: ${original.last}`,
      );

    const first = scratch.edit(harmless);
    const unbuiltHarmless = await make('harmless edit');
    if (unbuiltHarmless !== undefined) return finding(false, unbuiltHarmless);
    step('goldens, harmless edit');
    const kept = await scratch.run(verify);
    if (kept.code !== 0)
      return finding(false, `harmless edit of ${first} (${harmless.what}): the goldens fail: ${kept.last}`);
    const [before, after] = [layersOf(original.out), layersOf(kept.out)];
    if (before !== undefined && before === after)
      return finding(
        false,
        `edit of ${first} (${harmless.what}) changes nothing: ${before} layers before and after`,
      );
    scratch.restore();

    const second = scratch.edit(wrong);
    const unbuiltWrong = await make('wrong edit');
    // A wrong edit that does not even build was noticed too, but shows nothing about the goldens.
    if (unbuiltWrong !== undefined) return finding(false, unbuiltWrong);
    step('goldens, wrong edit');
    const broken = await scratch.run(verify);
    if (broken.code === 0)
      return finding(false, `wrong edit of ${second} (${wrong.what}): the goldens still pass`);
    const layers = before === undefined ? '' : `, ${before} layers became ${after}`;
    return finding(
      true,
      `edited ${first}: ${harmless.what}: built, goldens pass${layers}; edited ${second}: ${wrong.what}: built, goldens fail; ${verify}`,
    );
  } catch (error) {
    return finding(false, errorText(error));
  }
}
