/** `patchpanel status`: what the last runs left, read from their record. */
import type { Command } from 'commander';
import { exitCodes, PatchpanelError } from '../reconcile/errors.ts';
import type { Cluster } from '../reconcile/kube/cluster.ts';
import { picturePage } from '../reconcile/report/html/page.ts';
import { statusPicture } from '../reconcile/report/html/status-picture.ts';
import { recordAsText } from '../reconcile/report/record-text.ts';
import { type LockState, lockState } from '../reconcile/runs/lock.ts';
import { namedBy, type RunRecord } from '../reconcile/runs/record.ts';
import { needRecord } from '../reconcile/runs/record-store.ts';
import { readSight } from '../reconcile/trace/sight.ts';
import { addClusterOptions, type ClusterFlags, openCluster } from './cluster-options.ts';
import { addOutput } from './output-options.ts';
import type { Exit } from './program.ts';
import { addRecord, type RecordFlags, recordPlace } from './run-options.ts';
import { outputStyle, print } from './terminal.ts';

interface StatusFlags extends RecordFlags, ClusterFlags {
  readonly output: 'text' | 'json' | 'html';
}

export function addStatus(program: Command, exit: Exit): void {
  const command = program
    .command('status')
    .summary('show the last runs of a repository')
    .description(
      'Shows the record that `apply --record` keeps: commit, outcome, VMs that are not in sync, the last runs with news, and whether one is under way. As HTML also what runs now, where that may be read.',
    );
  addOutput(addClusterOptions(addRecord(command)), ['text', 'json', 'html'])
    .addHelpText(
      'after',
      `
Examples:
  patchpanel status --record patchpanel/patchpanel-record
  patchpanel status --record patchpanel/patchpanel-record -o json
  patchpanel status --record patchpanel/patchpanel-record -o html > status.html
`,
    )
    .action(async (flags: StatusFlags) => {
      await statusVerb(flags);
      exit.code = exitCodes.ok;
    });
}

async function statusVerb(flags: StatusFlags): Promise<void> {
  const place = recordPlace(flags);
  if (place === undefined) {
    throw new PatchpanelError('cli/usage', 'status needs --record NAMESPACE/NAME, or PATCHPANEL_RECORD');
  }
  const cluster = await openCluster(flags);
  try {
    const [record, lock] = await Promise.all([needRecord(cluster, place), lockState(cluster, place)]);
    await print(await formatStatus(record, lock, cluster, flags));
  } finally {
    await cluster.close();
  }
}

async function formatStatus(
  record: RunRecord,
  lock: LockState | undefined,
  cluster: Cluster,
  { output, domainXml }: StatusFlags,
): Promise<string> {
  switch (output) {
    case 'json':
      return `${JSON.stringify({ record, ...(lock === undefined ? {} : { lock }) }, undefined, 2)}\n`;
    case 'html': {
      const sight = await readSight(cluster, namedBy(record), domainXml);
      return picturePage(statusPicture({ record, lock, sight, server: cluster.server }, new Date()));
    }
    case 'text':
      return recordAsText(record, lock, new Date(), outputStyle());
    default:
      return output satisfies never;
  }
}
