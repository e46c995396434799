/** The options that say where the desired state is, how to get at it, and how to render it. */
import { type Command, InvalidArgumentError } from 'commander';
import type { GitAuth } from '../reconcile/desired/git-source.ts';
import type { GithubApp } from '../reconcile/desired/github-app.ts';
import type { DesiredSource, LoadOptions } from '../reconcile/desired/load.ts';
import { sourceIdPattern } from '../reconcile/desired/source-mark.ts';
import { PatchpanelError } from '../reconcile/errors.ts';
import { wholeNumber } from './cluster-options.ts';
import { addGithubAppOptions, type GithubAppFlags, githubApp } from './github-app-options.ts';
import { readText, secret } from './read-text.ts';
import { addSignatureOptions, type SignatureFlags, signatureDemands } from './signature-options.ts';

export interface SourceFlags extends SignatureFlags, GithubAppFlags {
  readonly ref: string;
  readonly path?: string;
  readonly sourceId?: string;
  readonly sourceRef?: string;
  readonly namespace?: string;
  readonly gitUsername?: string;
  readonly gitPasswordFile?: string;
  readonly gitTokenFile?: string;
  readonly caFile?: string;
  readonly gitTimeout: number;
  readonly extStr?: Assignments;
  readonly extCode?: Assignments;
  readonly tlaStr?: Assignments;
  readonly tlaCode?: Assignments;
  readonly jsonnetTimeout: number;
  readonly jsonnetMemory: number;
}

export const sourceHelp = 'folder, or http(s) URL of a git repository';

type Assignments = Readonly<Record<string, string>>;

/** Collects repeated `NAME=VALUE` options; `NAME` alone takes the value of that environment variable, as jsonnet does. */
function assignment(text: string, previous: Assignments = {}): Assignments {
  const at = text.indexOf('=');
  const name = at < 0 ? text : text.slice(0, at);
  if (name === '') throw new InvalidArgumentError('It must be NAME=VALUE, or NAME of an environment variable.');
  const value = at < 0 ? process.env[name] : text.slice(at + 1);
  if (value === undefined) throw new InvalidArgumentError(`There is no environment variable ${name}.`);
  return { ...previous, [name]: value };
}

function sourceId(text: string): string {
  if (!sourceIdPattern.test(text)) {
    throw new InvalidArgumentError(
      'It must be a name, or a mark such as https://git.example.com/net/vms?ref=main, without blanks.',
    );
  }
  return text;
}

export function addSourceOptions(command: Command): Command {
  const fetching = command
    .option('--ref <ref>', 'branch, tag, or full or short commit of a git source', 'HEAD')
    .option('--path <folder>', 'folder of the repository that holds the desired state')
    .option(
      '--source-id <id>',
      'what VMs are marked with as declared here, in place of repository, folder and ref; a folder on disk has none without it',
      sourceId,
    )
    .option('--source-ref <ref>', 'branch in that mark, where --ref pins a commit of it')
    .option('-n, --namespace <name>', 'namespace of objects that name none', 'default')
    .optionsGroup('Access to git:')
    .option('--git-token-file <file>', 'file with an access token; or PATCHPANEL_GIT_TOKEN')
    .option('--git-username <name>', 'user of basic authentication; or PATCHPANEL_GIT_USERNAME')
    .option('--git-password-file <file>', 'file with the password; or PATCHPANEL_GIT_PASSWORD')
    .option('--ca-file <file>', 'PEM bundle of certificate authorities to trust for git, besides the usual ones')
    .option('--git-timeout <seconds>', 'limit on a fetch as a whole', wholeNumber(1), 120);
  return addSignatureOptions(addGithubAppOptions(fetching).optionsGroup('Signatures:'))
    .optionsGroup('Jsonnet:')
    .option('-V, --ext-str <name=value>', 'external variable of Jsonnet, a string; repeatable', assignment)
    .option('--ext-code <name=code>', 'external variable of Jsonnet, code; repeatable', assignment)
    .option('-A, --tla-str <name=value>', 'top-level argument of Jsonnet, a string; repeatable', assignment)
    .option('--tla-code <name=code>', 'top-level argument of Jsonnet, code; repeatable', assignment)
    .option('--jsonnet-timeout <seconds>', 'limit on one Jsonnet file', wholeNumber(1), 30)
    .option('--jsonnet-memory <MiB>', 'memory limit of one Jsonnet evaluation', wholeNumber(16), 512)
    .optionsGroup('');
}

/** Node takes any text, and then trusts nothing more than before. */
export function certificates(file: string): string {
  const text = readText('--ca-file', file);
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new PatchpanelError('cli/input', `--ca-file ${file} has no certificate in PEM form`, {
    remedy: 'Give certificates that begin with -----BEGIN CERTIFICATE-----.',
  });
}

/** Credentials from files or the environment; the command line never carries a secret. */
function gitAuth(flags: SourceFlags): GitAuth | GithubApp | undefined {
  const token = secret('--git-token-file', flags.gitTokenFile, 'PATCHPANEL_GIT_TOKEN');
  const username = flags.gitUsername ?? process.env.PATCHPANEL_GIT_USERNAME;
  const app = githubApp(flags);
  if (app !== undefined) {
    if (token === undefined && username === undefined) return app;
    throw new PatchpanelError('cli/usage', 'both a GitHub App and other credentials are given', {
      remedy: 'Give one of them; PATCHPANEL_GIT_TOKEN and PATCHPANEL_GIT_USERNAME count too.',
    });
  }
  if (token !== undefined) return { kind: 'token', token, ...(username ? { username } : {}) };
  const password = secret('--git-password-file', flags.gitPasswordFile, 'PATCHPANEL_GIT_PASSWORD');
  if (username === undefined && password === undefined) return undefined;
  if (username === undefined || password === undefined) {
    throw new PatchpanelError('cli/usage', 'basic authentication needs both a user and a password', {
      remedy: 'Give --git-username and --git-password-file, or --git-token-file alone.',
    });
  }
  return { kind: 'basic', username, password };
}

/** What has a scheme, or looks like `git@host:path`, is a git URL; the rest is a folder. */
export function desiredSource(source: string, flags: SourceFlags): DesiredSource {
  const isUrl = /^[a-z][a-z0-9+.-]*:\/\//i.test(source) || /^[\w.-]+@[\w.-]+:/.test(source);
  if (!isUrl) {
    // What is shown of a folder must not be a URL with a password in it.
    if (/^(?:https?|ssh|git):/i.test(source)) {
      throw new PatchpanelError('cli/usage', 'the source begins like a URL, and is none', {
        remedy: 'Write the URL with two slashes behind the colon; a folder of that name with ./ before it.',
      });
    }
    if (flags.ref !== 'HEAD') {
      throw new PatchpanelError('cli/usage', `--ref is for a git URL; ${source} is a folder, read as it is`, {
        remedy: 'Leave --ref out, or give the http(s) URL of the repository.',
      });
    }
    return { kind: 'folder', path: flags.path === undefined ? source : `${source.replace(/\/+$/, '')}/${flags.path}` };
  }
  const auth = gitAuth(flags);
  return {
    kind: 'git',
    url: source,
    ref: flags.ref,
    timeoutMs: flags.gitTimeout * 1000,
    ...(flags.path === undefined ? {} : { path: flags.path }),
    ...(auth === undefined ? {} : { auth }),
    ...(flags.caFile === undefined ? {} : { ca: certificates(flags.caFile) }),
  };
}

export function loadOptions(flags: SourceFlags, signal?: AbortSignal): LoadOptions {
  return {
    signatures: signatureDemands(flags),
    defaultNamespace: flags.namespace ?? 'default',
    ...(flags.sourceId === undefined ? {} : { sourceId: flags.sourceId }),
    ...(flags.sourceRef === undefined ? {} : { sourceRef: flags.sourceRef }),
    jsonnet: {
      extStr: flags.extStr ?? {},
      extCode: flags.extCode ?? {},
      tlaStr: flags.tlaStr ?? {},
      tlaCode: flags.tlaCode ?? {},
      timeoutMs: flags.jsonnetTimeout * 1000,
      memoryBytes: flags.jsonnetMemory * 2 ** 20,
    },
    ...(signal === undefined ? {} : { signal }),
  };
}
