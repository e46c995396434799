/** What a Policy says of repositories. */
import * as z from 'zod';
import { parseAllowedSigners } from './allowed-signers.ts';
import { repositoryUrl } from './repositories.ts';
import { signatureModes } from './signatures.ts';

const maxRepositories = 1000;

const namespacePattern = z
  .string()
  .max(63, { abort: true, error: 'is longer than 63 characters' })
  .regex(/^(?:\*|[a-z0-9][-a-z0-9]*\*|[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)$/, {
    error: 'must be a namespace, of which the last character may be a *',
  });

function namespaces() {
  return z.array(namespacePattern).min(1, { error: 'must have at least one entry' }).max(maxRepositories);
}

/** An http(s) URL, and nothing in it but host and path. */
function isPlainUrl(text: string): boolean {
  if (!URL.canParse(text) || text.includes('*')) return false;
  const { protocol, username, password, search, hash } = new URL(text);
  return /^https?:$/.test(protocol) && `${username}${password}${search}${hash}` === '';
}

const url = z
  .string()
  .max(2000, { abort: true, error: 'is too long' })
  .superRefine((value, context) => {
    const bare = value.replace(/\/\*$/, '');
    if (isPlainUrl(bare)) return;
    const message = 'must be the http(s) URL of a repository, without user info, or of a path with /* at its end';
    context.addIssue({ code: 'custom', message });
  });

const verify = z
  .strictObject({
    mode: z.enum(signatureModes).describe('What must be signed: the commit, the tag that --ref names, or both.'),
    allowedSigners: z
      .string()
      .exactOptional()
      .describe('SSH keys that may sign, one a line, as ssh-keygen -Y verify reads them.'),
    openpgpKeys: z.string().exactOptional().describe('OpenPGP keys that may sign, armored.'),
  })
  .superRefine(({ allowedSigners, openpgpKeys }, context) => {
    if (allowedSigners === undefined && openpgpKeys === undefined) {
      context.addIssue({ code: 'custom', message: 'needs allowedSigners, openpgpKeys, or both' });
    }
    if (allowedSigners === undefined) return;
    try {
      parseAllowedSigners(allowedSigners);
    } catch (error) {
      const message = `is no list of signers: ${error instanceof Error ? error.message : String(error)}`;
      context.addIssue({ code: 'custom', path: ['allowedSigners'], message });
    }
  });

export const repositoriesSchema = z
  .array(
    z.strictObject({
      url: url.describe('Of the repository; with /* at its end, of all below that path. The closest one counts.'),
      namespaces: namespaces().describe(
        'Namespaces whose VMs and pods it may declare; with * at its end, all that begin so.',
      ),
      networkNamespaces: namespaces().exactOptional().describe('Namespaces whose networks it may use beside those.'),
      verify: verify.exactOptional().describe('Signatures that must be there, beside those that options demand.'),
    }),
  )
  .min(1, { error: 'must have at least one entry: without one no repository is allowed' })
  .max(maxRepositories)
  .superRefine((rules, context) => {
    const seen = new Set<string>();
    for (const [index, { url: text }] of rules.entries()) {
      const bare = text.replace(/\/\*$/, '');
      if (!isPlainUrl(bare)) continue;
      const spelled = `${repositoryUrl(bare)}${text.slice(bare.length)}`;
      if (seen.has(spelled)) {
        context.addIssue({ code: 'custom', path: [index, 'url'], message: 'is in the list already' });
      }
      seen.add(spelled);
    }
  })
  .describe('The only repositories that may declare anything. Left out: any may, everywhere.');
