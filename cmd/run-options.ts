/** The options of a run that leaves something behind: its lock and its record, and who is told of it. */
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseGitUrl } from '../reconcile/desired/git-url.ts';
import type { DesiredSource, LoadOptions } from '../reconcile/desired/load.ts';
import type { SourceIdentity } from '../reconcile/desired/model.ts';
import { PatchpanelError } from '../reconcile/errors.ts';
import { sourceName } from '../reconcile/report/words.ts';
import type { LockOptions } from '../reconcile/runs/lock.ts';
import type { StatusHost } from '../reconcile/runs/notify.ts';
import type { RunFacts } from '../reconcile/runs/record.ts';
import type { ObjectName } from '../reconcile/vocabulary.ts';
import type { Channels } from './aftermath.ts';
import { wholeNumber } from './cluster-options.ts';
import { type GithubAppFlags, githubApp } from './github-app-options.ts';
import { httpUrl, secret, secretVariable } from './read-text.ts';
import { runId } from './run-id.ts';
import { certificates, type SourceFlags } from './source-options.ts';

export interface RecordFlags {
  readonly record?: string;
}

export interface RunFlags extends RecordFlags {
  readonly lockTimeout: number;
  readonly leaseDuration: number;
  readonly ifChanged?: true;
  readonly recheckAfter: number;
  readonly events?: true;
  readonly metricsFile?: string;
  readonly pushgateway?: string;
  readonly notifyUrlFile?: string;
  readonly commitStatus?: StatusHost['kind'];
  readonly commitStatusTokenFile?: string;
  readonly commitStatusApi?: string;
}

export function addRecord(command: Command): Command {
  return command.option(
    '--record <namespace/name>',
    'ConfigMap that tells of the last runs, and Lease that keeps runs apart; default PATCHPANEL_RECORD',
  );
}

export function addRunOptions(command: Command): Command {
  return addRecord(command.optionsGroup('Record, lock and news:'))
    .option('--lock-timeout <seconds>', 'how long to wait for another run to end', wholeNumber(0), 0)
    .option('--lease-duration <seconds>', 'time after which a lock is free that is not renewed', wholeNumber(2), 60)
    .option(
      '--if-changed',
      'with --record: do nothing where the commit is that of the last full check, and all was in sync',
    )
    .addOption(
      new Option('--recheck-after <duration>', 'with --if-changed: age from which a full check is due all the same')
        .argParser(milliseconds)
        .default(3_600_000, '1h'),
    )
    .option('--events', 'write a Kubernetes Event on each VM or pod that is changed, or fails')
    .option('--metrics-file <file>', 'write metrics for a textfile collector of Prometheus')
    .option('--pushgateway <url>', 'push the metrics to a Pushgateway; with credentials: PATCHPANEL_PUSHGATEWAY')
    .option('--notify-url-file <file>', 'URL that is told of each run with news, by POST; or PATCHPANEL_NOTIFY_URL')
    .addOption(
      new Option('--commit-status <host>', 'set the status of the commit at its git host').choices([
        'github',
        'gitlab',
      ]),
    )
    .option('--commit-status-token-file <file>', 'token for that; or PATCHPANEL_STATUS_TOKEN')
    .option('--commit-status-api <url>', 'base of the API, where it is not that of the host of the repository')
    .optionsGroup('');
}

/** `90s`, `30m`, `1h30m`, `2d`. */
function milliseconds(text: string): number {
  const [whole, ...parts] = /^(?:(\d{1,5})d)?(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?$/.exec(text) ?? [];
  if (whole === undefined || whole === '') throw new InvalidArgumentError('It must be a duration, such as 30m or 1h.');
  const [days = 0, hours = 0, minutes = 0, seconds = 0] = parts.map((part) => Number(part ?? 0));
  return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000;
}

const dnsName = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

/** Where the record and the lock are; undefined where there is none. @throws PatchpanelError `cli/usage` */
export function recordPlace({ record }: RecordFlags): ObjectName | undefined {
  return configMapPlace('--record', record, 'PATCHPANEL_RECORD');
}

/** A ConfigMap that an option or else the environment names. @throws PatchpanelError `cli/usage` */
export function configMapPlace(option: string, value: string | undefined, variable: string): ObjectName | undefined {
  const given = value ?? (process.env[variable] || undefined);
  if (given === undefined) return undefined;
  const [namespace = '', name = '', ...more] = given.split('/');
  if (more.length > 0 || !dnsName.test(namespace) || !dnsName.test(name)) {
    throw new PatchpanelError('cli/usage', `${option} is NAMESPACE/NAME, not ${JSON.stringify(given)}`);
  }
  return { namespace, name };
}

/** Pod or host. */
export const host = hostname();

export function lockOptions(flags: RunFlags, signal: AbortSignal): Omit<LockOptions, 'onWait'> | undefined {
  const place = recordPlace(flags);
  if (place === undefined) return undefined;
  return {
    place,
    holder: `${host}/${runId}`,
    durationSeconds: flags.leaseDuration,
    patienceMs: flags.lockTimeout * 1000,
    signal,
  };
}

type ChannelFlags = RunFlags & Pick<SourceFlags, 'caFile' | keyof GithubAppFlags>;

/** @throws PatchpanelError `cli/usage`, `cli/input` */
export function channels(flags: ChannelFlags): Channels {
  const record = recordPlace(flags);
  const { metricsFile } = flags;
  const pushgateway =
    httpUrl('--pushgateway', flags.pushgateway, false) ??
    httpUrl('PATCHPANEL_PUSHGATEWAY', secretVariable('PATCHPANEL_PUSHGATEWAY'), true);
  const notifyUrl = httpUrl(
    'the URL to notify',
    secret('--notify-url-file', flags.notifyUrlFile, 'PATCHPANEL_NOTIFY_URL'),
    true,
  );
  const commitStatus = statusHost(flags);
  return {
    ...(record === undefined ? {} : { record }),
    ...(metricsFile === undefined ? {} : { metricsFile }),
    ...(pushgateway === undefined ? {} : { pushgateway }),
    ...(notifyUrl === undefined ? {} : { notifyUrl }),
    ...(commitStatus === undefined ? {} : { commitStatus }),
  };
}

function statusHost(flags: ChannelFlags): Channels['commitStatus'] {
  const { commitStatus: kind, commitStatusTokenFile: file, commitStatusApi, githubApiUrl } = flags;
  if (kind === undefined) return undefined;
  const token = secret('--commit-status-token-file', file, 'PATCHPANEL_STATUS_TOKEN') ?? appToken(kind, flags);
  if (token === undefined) {
    throw new PatchpanelError('cli/usage', '--commit-status needs a token', {
      remedy: 'Give --commit-status-token-file, PATCHPANEL_STATUS_TOKEN, or at GitHub the options of a GitHub App.',
    });
  }
  // A token of an app is for the API that made it, and goes to no other.
  const api = httpUrl('--commit-status-api', commitStatusApi ?? (kind === 'github' ? githubApiUrl : undefined), false);
  return { kind, token, ...(api === undefined ? {} : { api }) };
}

/** Asked for when the run has ended: it may take longer than a token lives. */
function appToken(
  kind: StatusHost['kind'],
  flags: ChannelFlags,
): ((repository: string) => Promise<string>) | undefined {
  const app = kind === 'github' ? githubApp(flags) : undefined;
  if (app === undefined) return undefined;
  const ca = flags.caFile === undefined ? {} : { ca: certificates(flags.caFile) };
  return async (repository) =>
    await app.token(
      repository,
      { statuses: 'write' },
      { ...ca, proxy: process.env, connectTimeoutMs: 10_000, signal: AbortSignal.timeout(10_000) },
    );
}

/** What a run knows of itself from its start. */
export function runFacts(
  source: SourceIdentity | DesiredSource,
  inputs: LoadOptions | undefined,
): Omit<RunFacts, 'ended'> {
  return {
    id: runId,
    by: host,
    started: new Date(),
    source: sourceText(source),
    inputs: inputs === undefined ? '' : inputsDigest(inputs),
  };
}

/** The same for a source that is asked for, and for one that was read. */
function sourceText(source: SourceIdentity | DesiredSource): string {
  if (source.kind === 'folder') return source.path;
  const { url } = parseGitUrl(source.url);
  const path = (source.path ?? '').replace(/^(?:\.?\/)+|\/+$/g, '');
  return sourceName({ kind: 'git', url, path, ref: '', commit: '' });
}

/** What decides, beside the commit, what is rendered, and whose commits are. */
function inputsDigest({ defaultNamespace, jsonnet, signatures = [] }: LoadOptions): string {
  const { extStr, extCode, tlaStr, tlaCode } = jsonnet ?? {};
  const text = JSON.stringify([defaultNamespace, extStr, extCode, tlaStr, tlaCode, ...signatures]);
  return `sha256:${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
}
