/** The options that demand signatures of commits and tags. */
import { type Command, Option } from 'commander';
import { type SignatureDemand, type SignatureMode, signatureModes } from '../reconcile/desired/signatures.ts';
import { PatchpanelError } from '../reconcile/errors.ts';
import { readText } from './read-text.ts';

export interface SignatureFlags {
  readonly verifySignatures?: SignatureMode;
  readonly allowedSigners?: string;
  readonly openpgpKeys?: string;
}

export function addSignatureOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--verify-signatures <what>',
        'what must be signed: the commit, the tag that --ref names, or both',
      ).choices(signatureModes),
    )
    .option('--allowed-signers <file>', 'SSH keys that may sign, as `ssh-keygen -Y verify` reads them')
    .option('--openpgp-keys <file>', 'OpenPGP keys that may sign, armored');
}

/** What the options demand; nothing where none is given. @throws PatchpanelError `cli/usage`, `cli/input` */
export function signatureDemands({
  verifySignatures: mode,
  allowedSigners,
  openpgpKeys,
}: SignatureFlags): readonly SignatureDemand[] {
  if (mode === undefined) {
    if (allowedSigners === undefined && openpgpKeys === undefined) return [];
    throw new PatchpanelError('cli/usage', 'keys are given, and nothing says what must be signed', {
      remedy: `Add --verify-signatures ${signatureModes.join(', or ')}.`,
    });
  }
  if (allowedSigners === undefined && openpgpKeys === undefined) {
    throw new PatchpanelError('cli/usage', '--verify-signatures needs to know who may sign', {
      remedy: 'Give --allowed-signers, --openpgp-keys, or both.',
    });
  }
  return [
    {
      mode,
      by: 'the options',
      ...(allowedSigners === undefined ? {} : { allowedSigners: readText('--allowed-signers', allowedSigners) }),
      ...(openpgpKeys === undefined ? {} : { openpgpKeys: readText('--openpgp-keys', openpgpKeys) }),
    },
  ];
}
