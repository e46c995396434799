/** The settings of a run as a plan carries them: the format, in its order of keys. */
import * as z from 'zod';
import { durationFault, startFault, timeZoneFault } from '../windows/windows.ts';

const text = z.string();

export const timeWindow = z.strictObject({
  start: text.refine((value) => startFault(value) === undefined),
  duration: text.refine((value) => durationFault(value) === undefined),
  timeZone: text.refine((value) => timeZoneFault(value) === undefined),
});

const positive = z.int().min(1);
const limit = z.strictObject({
  count: z.int().min(0).exactOptional(),
  percent: z.int().min(0).max(100).exactOptional(),
});
const wave = z.strictObject({
  name: text,
  namespaces: z.array(text).exactOptional(),
  vms: z.array(text).exactOptional(),
  labels: z.record(text, text).exactOptional(),
});
const windowRule = z.strictObject({
  from: z.enum(['repository', 'policy']),
  overridable: z.boolean(),
  windows: z.array(timeWindow),
});

export const settings = z.strictObject({
  maxInFlight: positive,
  maxInFlightPerNode: positive.exactOptional(),
  canary: limit.exactOptional(),
  waves: z.array(z.array(wave)).exactOptional(),
  maxFailures: positive.exactOptional(),
  onFailure: z.enum(['reverse', 'hold', 'retry']),
  prune: z.boolean(),
  maxRemovals: limit.exactOptional(),
  suspend: z.literal(true).exactOptional(),
  suspendedNamespaces: z.array(text).exactOptional(),
  allowWindows: z.array(windowRule).exactOptional(),
  denyWindows: z.array(windowRule).exactOptional(),
  restart: z.enum(['never', 'stage', 'allowed']),
  restartWindows: z.array(windowRule).exactOptional(),
});

/** The policy that they were tightened by. */
export const policy = z.strictObject({
  from: text,
  tightened: z.array(z.strictObject({ key: settings.keyof(), asked: text.exactOptional(), holds: text })),
});
