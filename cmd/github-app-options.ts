/** The options that name a GitHub App. */
import type { Command } from 'commander';
import { GithubApp } from '../reconcile/desired/github-app.ts';
import { PatchpanelError } from '../reconcile/errors.ts';
import { httpUrl, secret } from './read-text.ts';

export interface GithubAppFlags {
  readonly githubAppId?: string;
  readonly githubAppInstallationId?: string;
  readonly githubAppKeyFile?: string;
  readonly githubApiUrl?: string;
}

export function addGithubAppOptions(command: Command): Command {
  return command
    .option('--github-app-id <id>', 'GitHub App that fetches; or PATCHPANEL_GITHUB_APP_ID')
    .option('--github-app-installation-id <id>', 'its installation; or PATCHPANEL_GITHUB_APP_INSTALLATION_ID')
    .option('--github-app-key-file <file>', 'its private key, PEM; or PATCHPANEL_GITHUB_APP_KEY')
    .option('--github-api-url <url>', 'base of the API, where it is not that of the host of the repository');
}

const apps = new WeakMap<GithubAppFlags, GithubApp>();

/** One app a command, which keeps its tokens. @throws PatchpanelError `cli/usage`, `cli/input` */
export function githubApp(flags: GithubAppFlags): GithubApp | undefined {
  const known = apps.get(flags);
  if (known !== undefined) return known;
  const appId = flags.githubAppId ?? (process.env.PATCHPANEL_GITHUB_APP_ID || undefined);
  const variable = process.env.PATCHPANEL_GITHUB_APP_INSTALLATION_ID;
  const installationId = flags.githubAppInstallationId ?? (variable || undefined);
  const key = secret('--github-app-key-file', flags.githubAppKeyFile, 'PATCHPANEL_GITHUB_APP_KEY');
  if (appId === undefined && installationId === undefined && key === undefined) return undefined;
  if (appId === undefined || installationId === undefined || key === undefined) {
    throw new PatchpanelError('cli/usage', 'a GitHub App needs its id, that of its installation, and its key', {
      remedy: 'Give --github-app-id, --github-app-installation-id and --github-app-key-file.',
    });
  }
  const api = httpUrl('--github-api-url', flags.githubApiUrl, false);
  const app = new GithubApp({ appId, installationId, key, ...(api === undefined ? {} : { api }) });
  apps.set(flags, app);
  return app;
}
