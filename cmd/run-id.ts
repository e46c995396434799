/** What names this run in logs, Events, records and locks: a run is one process. */
import { randomBytes } from 'node:crypto';

export const runId = randomBytes(4).toString('hex');
