/** All parsers of what others wrote. */
import { desiredTargets } from './desired-targets.ts';
import { gitTargets } from './git-targets.ts';
import { liveTargets } from './live-targets.ts';
import type { Target } from './target.ts';
import { textTargets } from './text-targets.ts';

export const targets: readonly Target[] = [...desiredTargets, ...textTargets, ...liveTargets, ...gitTargets];
