/** The record of the last runs, and what runs now, as a page of panels. */
import type { TargetDiff } from '../../diff/model.ts';
import type { PodDiff } from '../../diff/pods.ts';
import type { LiveVm } from '../../live/model.ts';
import type { LiveTargetPod } from '../../live/pod-model.ts';
import { heldWords } from '../../plan/held.ts';
import { ageWords } from '../../runs/age.ts';
import type { LockState } from '../../runs/lock.ts';
import { type RunRecord, recordKey } from '../../runs/record.ts';
import type { Sight } from '../../trace/sight.ts';
import { objectKey } from '../../vocabulary.ts';
import { countWords, runWords, shortCommit } from '../record-text.ts';
import { printable } from '../style.ts';
import type { Block, Facet, Panel, Picture } from './model.ts';
import { byUrgency } from './plan-picture.ts';
import { podPanel } from './pod-panel.ts';
import { blockOf, networkIndex, vmPanel } from './vm-panel.ts';

type Recorded = RunRecord['targets'][string];

export interface StatusGround {
  readonly record: RunRecord;
  /** The run that is under way. */
  readonly lock: LockState | undefined;
  readonly sight: Sight;
  readonly server: string;
}

/** @param now when it was looked at */
export function statusPicture({ record, lock, sight, server }: StatusGround, now: Date): Picture {
  const networks = networkIndex();
  const drawn = new Set<string>();
  const panels: Panel[] = [];
  const add = (panel: Panel, key: string, more: readonly Block[]): void => {
    drawn.add(key);
    panels.push(withRecord(panel, record.targets[key], more));
  };
  for (const diff of sight.vms) {
    add(
      ownMarked(vmPanel(diff, undefined, networks), diff),
      objectKey(diff.desired.target),
      heldBlocks(diff.live, 'vm'),
    );
  }
  for (const diff of sight.pods) {
    const key = recordKey({ kind: 'Pod', namespace: diff.pod.namespace, name: diff.pod.name });
    add(podMarked(podPanel(diff, undefined, networks), diff), key, heldBlocks(diff.pod, 'pod'));
  }
  for (const [key, recorded] of Object.entries(record.targets)) {
    if (!drawn.has(key)) panels.push(withRecord(unseen(key, sight), recorded, []));
  }
  const { source, commit, outcome, counts, lastFullCheck, error } = record;
  const notices = [
    ...(error === undefined ? [] : [`the last run ended with ${error.code}: ${error.message}`]),
    ...(lock === undefined ? [] : [`a run is under way: ${lock.holder}, since ${ageWords(lock.heldMs)}`]),
    ...(sight.problem === undefined ? [] : [sight.problem]),
  ];
  return {
    kind: 'status',
    source: printable(source),
    revision: printable(shortCommit(commit)),
    made: now.toISOString(),
    summary: `${outcome}: ${countWords(counts)}`,
    facts: [
      ['commit', printable(commit ?? 'none yet')],
      ['last full check', lastFullCheck === undefined ? 'none yet' : clock(lastFullCheck)],
      ['cluster', printable(server)],
    ],
    notices: notices.map(printable),
    calm: 'In sync',
    networks: networks.names,
    panels: panels.sort(byUrgency),
    runs: record.runs.map((run) => ({
      at: clock(run.at),
      outcome: run.outcome,
      commit: printable(shortCommit(run.commit)),
      what: runWords(run),
      by: printable(`${run.by}/${run.id}`),
    })),
  };
}

/** `2026-03-02 09:30 UTC`, as it is read by people in several zones. */
function clock(time: string): string {
  return printable(`${time.slice(0, 16).replace('T', ' ')} UTC`);
}

/** NICs that patchpanel did not plug are nobody's here: the VM is held against its own template. */
function ownMarked(panel: Panel, { live }: TargetDiff): Panel {
  return marked(panel, new Set((live?.owned ?? []).map(printable)));
}

function podMarked(panel: Panel, { pod }: PodDiff): Panel {
  const { at: _at, ...seen } = panel;
  return marked(seen, new Set(pod.owned.map(({ name }) => printable(name))));
}

function marked(panel: Panel, owned: ReadonlySet<string>): Panel {
  const cables = panel.cables.map((cable) =>
    cable.is === 'stays' && !owned.has(cable.name) ? ({ ...cable, is: 'foreign' } as const) : cable,
  );
  return { ...panel, cables };
}

/** What holds a target back says its annotation, and it may be newer than the record. */
function heldBlocks(live: LiveVm | LiveTargetPod | undefined, kind: 'vm' | 'pod'): readonly Block[] {
  return live?.held === undefined ? [] : [blockOf(heldWords(live.held, live, kind))];
}

/** Of a target that the record names and nobody sees. */
function unseen(key: string, { problem }: Sight): Panel {
  const [kind, rest] = key.startsWith('pod/') ? (['pod', key.slice(4)] as const) : (['VM', key] as const);
  const slash = rest.indexOf('/');
  return {
    kind,
    ns: printable(rest.slice(0, slash)),
    name: printable(rest.slice(slash + 1)),
    ...(problem === undefined ? { run: 'not in the cluster' } : {}),
    is: ['calm'],
    cables: [],
  };
}

const facetOf: Readonly<Record<string, Facet>> = {
  failed: 'failed',
  interrupted: 'interrupted',
  blocked: 'blocked',
  staged: 'staged',
  waiting: 'staged',
  'not-started': 'interrupted',
};

/** The panel with what the record says of it; `more` is what the VM itself says. */
function withRecord(panel: Panel, recorded: Recorded | undefined, more: readonly Block[]): Panel {
  const word = recorded?.state ?? 'in-sync';
  const told: Facet | undefined = word === 'in-sync' ? undefined : (facetOf[word] ?? 'blocked');
  const facets = new Set<Facet>([
    ...(told === undefined ? [] : [told]),
    ...(more.length > 0 ? (['blocked'] as const) : []),
    ...panel.is.filter((facet) => facet !== 'calm'),
  ]);
  // The VM says it at greater length.
  const reason = more.length > 0 && recorded?.reason?.startsWith('held') === true ? undefined : recorded?.reason;
  const [, code = '', text = ''] = /^([a-z][a-z0-9/-]*): ([\s\S]*)$/.exec(reason ?? '') ?? [];
  const blocks = [
    ...(reason === undefined
      ? []
      : [{ code: code === '' ? word : code, text: printable(text === '' ? reason : text) } as const]),
    ...more,
  ];
  const notes = recorded === undefined ? ['the record has no word of it'] : [];
  return {
    ...panel,
    is: facets.size === 0 ? ['calm'] : [...facets],
    ...(recorded === undefined ? {} : { since: recorded.since }),
    ...(blocks.length === 0 ? {} : { blocks }),
    ...(notes.length === 0 ? {} : { notes }),
  };
}
