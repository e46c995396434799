/** A run as metrics in the text format of Prometheus, for a textfile collector or a Pushgateway. */

export interface RunMetrics {
  /** URL and path of the repository, or the folder. */
  readonly source: string;
  readonly started: Date;
  readonly ended: Date;
  readonly exitCode: number;
  /** Nothing was to be looked at: the commit is the same, and the last full check is young. */
  readonly skipped: boolean;
  readonly commit?: string;
  readonly lastFullCheck?: Date;
  /** VMs and pods by state; left out where a run ended before it knew. */
  readonly states?: Readonly<Record<string, number>>;
  readonly changed?: number;
  readonly writes?: number;
  /** Targets that are not in sync, as `namespace/name`, with their state. */
  readonly troubled?: readonly (readonly [target: string, state: string])[];
}

/** Each target is a time series of its own, so a broken fleet must not flood the server. */
const mostTroubled = 200;

interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number | undefined;
}

/** All metrics are gauges: each run tells how things are, and its predecessors are forgotten. */
export function metricsText(run: RunMetrics): string {
  const { source: repository } = run;
  const families: readonly (readonly [name: string, help: string, samples: readonly Sample[]])[] = [
    ['last_run_timestamp_seconds', 'When the last run ended.', [{ value: seconds(run.ended) }]],
    [
      'last_run_duration_seconds',
      'How long the last run took.',
      [{ value: Math.max(0, seconds(run.ended) - seconds(run.started)) }],
    ],
    ['last_run_exit_code', 'Exit code of the last run; 0: every layer agrees.', [{ value: run.exitCode }]],
    [
      'last_run_skipped',
      '1 where the commit was unchanged and the last full check young, so that nothing was looked at.',
      [{ value: run.skipped ? 1 : 0 }],
    ],
    [
      'last_full_check_timestamp_seconds',
      'When all VMs and pods were last compared with the repository.',
      [{ value: run.lastFullCheck === undefined ? undefined : seconds(run.lastFullCheck) }],
    ],
    [
      'targets',
      'Declared VMs and pods, by state.',
      Object.entries(run.states ?? {}).map(([state, value]) => ({ labels: { state }, value })),
    ],
    ['last_run_changed_targets', 'VMs and pods that the last run brought in sync.', [{ value: run.changed }]],
    ['last_run_writes', 'Writes to VMs and pods by the last run.', [{ value: run.writes }]],
    [
      'commit_info',
      'The commit that was looked at last.',
      [{ labels: { commit: run.commit ?? '' }, value: run.commit === undefined ? undefined : 1 }],
    ],
    [
      'target_state',
      'A VM or pod that is not in sync.',
      (run.troubled ?? []).slice(0, mostTroubled).map(([target, state]) => ({ labels: { target, state }, value: 1 })),
    ],
  ];
  return families.flatMap(([name, help, samples]) => familyLines(name, help, samples, repository)).join('');
}

function familyLines(name: string, help: string, samples: readonly Sample[], repository: string): readonly string[] {
  const lines = samples.flatMap(({ labels = {}, value }) =>
    value === undefined ? [] : [`patchpanel_${name}${labelText({ repository, ...labels })} ${value}\n`],
  );
  if (lines.length === 0) return [];
  return [`# HELP patchpanel_${name} ${help}\n`, `# TYPE patchpanel_${name} gauge\n`, ...lines];
}

function labelText(labels: Readonly<Record<string, string>>): string {
  return `{${Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(',')}}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function seconds(time: Date): number {
  return time.getTime() / 1000;
}
