/** Files that options name. */
import { readFileSync } from 'node:fs';
import { PatchpanelError } from '../reconcile/errors.ts';

/** @throws PatchpanelError `cli/input` */
export function readText(what: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable';
    throw new PatchpanelError('cli/input', `${what} ${file} can not be read (${reason})`, { cause });
  }
}

/** Variables that hold a secret, or a URL with one in it. */
const secretVariables = [
  'PATCHPANEL_GIT_TOKEN',
  'PATCHPANEL_GIT_PASSWORD',
  'PATCHPANEL_GITHUB_APP_KEY',
  'PATCHPANEL_STATUS_TOKEN',
  'PATCHPANEL_NOTIFY_URL',
  'PATCHPANEL_PUSHGATEWAY',
] as const;
type SecretVariable = (typeof secretVariables)[number];

const taken = new Map<SecretVariable, string>();

/** Takes the secrets out of the environment, which children inherit: the credential plugin of a kubeconfig does. */
export function takeSecrets(): void {
  for (const name of secretVariables) {
    const value = process.env[name];
    delete process.env[name];
    if (value) taken.set(name, value);
  }
}

/** What was taken from the environment. */
export function secretVariable(name: SecretVariable): string | undefined {
  return taken.get(name);
}

/** From a file, or else from the environment: the command line never carries a secret. */
export function secret(what: string, file: string | undefined, variable: SecretVariable): string | undefined {
  if (file === undefined) return secretVariable(variable);
  const text = readText(what, file).trim();
  if (text === '') throw new PatchpanelError('cli/input', `${what} ${file} is empty`);
  return text;
}

/** The value is not repeated: it may be a secret. */
export function httpUrl(what: string, text: string | undefined, isSecret: boolean): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new PatchpanelError('cli/usage', `${what} is not an http or https URL`);
  }
  if (!isSecret && (url.username !== '' || url.password !== '')) {
    throw new PatchpanelError('cli/usage', `${what} holds credentials, which everybody on the machine can read`, {
      remedy: 'Give the URL by the environment variable instead; see --help.',
    });
  }
  return text;
}
