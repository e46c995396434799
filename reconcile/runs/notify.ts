/** Who is told of a run beside the cluster: a webhook, the commit on its git host, a Pushgateway. */
import { githubApi } from '../desired/github-app.ts';
import type { Delivery } from './deliver.ts';
import { oneLine } from './one-line.ts';
import type { RunFacts, RunOutcome, RunRecord } from './record.ts';

const notifyVersion = 'patchpanel.dev/notify/v1alpha1';

/** What is told of a run. */
export interface News extends Pick<RunFacts, 'id' | 'by' | 'started' | 'ended' | 'source'> {
  readonly commit?: string;
  readonly outcome: RunOutcome;
  readonly exitCode: number;
  readonly counts?: RunRecord['counts'];
  readonly changed: number;
  readonly writes: number;
  readonly error?: { readonly code: string; readonly message: string };
  /** Targets that are not in sync, with state and reason. */
  readonly troubled: readonly { readonly target: string; readonly state: string; readonly reason?: string }[];
}

/** So many targets are named; the counts have them all. */
const mostTroubled = 20;

/** One line for a chat or a commit. */
function newsLine({ outcome, counts, changed, error }: News): string {
  if (error !== undefined) return oneLine(`error: ${error.message} (${error.code})`, 500);
  const parts = [`${changed} changed`];
  for (const [state, number] of Object.entries(counts ?? {})) {
    if (state !== 'targets' && state !== 'inSync' && number > 0)
      parts.push(`${number} ${state === 'notStarted' ? 'not started' : state}`);
  }
  if (counts !== undefined) parts.push(`${counts.inSync} of ${counts.targets} in sync`);
  return `${outcome}: ${parts.join(', ')}`;
}

/** The webhook; `text` is what Slack, Mattermost and the like show. */
export function webhook(url: string, news: News): Delivery {
  const { id, by, started, ended, source, commit, outcome, exitCode, counts, changed, writes, error, troubled } = news;
  const body = {
    version: notifyVersion,
    text: `patchpanel ${source}${commit === undefined ? '' : ` ${commit}`}: ${newsLine(news)}`,
    run: id,
    by,
    started: started.toISOString(),
    ended: ended.toISOString(),
    source,
    commit,
    outcome,
    exitCode,
    counts,
    changed,
    writes,
    error,
    troubled: troubled.slice(0, mostTroubled),
  };
  return {
    what: 'the notification',
    url,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  };
}

export interface StatusHost {
  readonly kind: 'github' | 'gitlab';
  readonly token: string;
  /** Base of the API, in place of the one of the host of the repository. */
  readonly api?: string;
}

/**
 * The status of a commit at its git host. Folders of one repository have a status each.
 * @param commit full id
 * @returns undefined where the source is no URL
 */
export function commitStatus(host: StatusHost, commit: string, news: News): Delivery | undefined {
  const [repository = '', ...folder] = news.source.split(' ');
  if (!URL.canParse(repository)) return undefined;
  const { origin, pathname } = new URL(repository);
  const context = ['patchpanel', ...folder].join('/');
  const path = pathname.replace(/^\/+/, '').replace(/\.git$/, '');
  const description = oneLine(newsLine(news), 140);
  const common = { what: 'the commit status', method: 'POST' } as const;
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${host.token}` };
  switch (host.kind) {
    case 'github': {
      const api = githubApi(repository, host.api);
      const body = { state: githubState(news.outcome), context, description };
      return {
        ...common,
        url: `${api}/repos/${path}/statuses/${commit}`,
        headers: { ...headers, accept: 'application/vnd.github+json' },
        body: JSON.stringify(body),
      };
    }
    case 'gitlab': {
      const api = host.api ?? `${origin}/api/v4`;
      const body = { state: gitlabState(news.outcome), name: context, description };
      return {
        ...common,
        url: `${api.replace(/\/+$/, '')}/projects/${encodeURIComponent(path)}/statuses/${commit}`,
        headers,
        body: JSON.stringify(body),
      };
    }
    default:
      return host.kind satisfies never;
  }
}

function githubState(outcome: RunOutcome): string {
  if (outcome === 'converged') return 'success';
  if (outcome === 'staged' || outcome === 'interrupted') return 'pending';
  return outcome === 'error' ? 'error' : 'failure';
}

function gitlabState(outcome: RunOutcome): string {
  if (outcome === 'converged') return 'success';
  if (outcome === 'staged') return 'pending';
  return outcome === 'interrupted' ? 'canceled' : 'failed';
}

/** All metrics of this repository, in place of those that were pushed before. */
export function push(gateway: string, source: string, metrics: string): Delivery {
  const group = Buffer.from(source).toString('base64url');
  return {
    what: 'the metrics',
    url: `${gateway.replace(/\/+$/, '')}/metrics/job/patchpanel/repository@base64/${group}`,
    method: 'PUT',
    headers: { 'content-type': 'text/plain; version=0.0.4' },
    body: metrics,
  };
}
