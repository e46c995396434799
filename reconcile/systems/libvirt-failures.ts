/**
 * What virsh says when it fails, and what that means. Its exit code is 1 whatever went wrong, so the text is all there is;
 * measured with libvirt 9.0 and QEMU 7.2. Success proves no more: what is true stands in the live XML.
 */
import { noPortsPattern } from './kubevirt-names.ts';

export type VirshFailure =
  | 'no-port'
  | 'tap-busy'
  | 'tap-missing'
  | 'alias-taken'
  | 'bad-device'
  | 'device-absent'
  | 'unplug-pending'
  | 'guest-busy'
  | 'domain-busy'
  | 'not-running'
  | 'no-domain'
  | 'no-daemon'
  | 'unknown';

interface FailureRow {
  readonly failure: VirshFailure;
  readonly pattern: RegExp;
  /** Asking again, later, can succeed without anybody's help. */
  readonly retryable: boolean;
}

const rows: readonly FailureRow[] = [
  { failure: 'no-port', pattern: noPortsPattern, retryable: false },
  { failure: 'tap-busy', pattern: /Unable to create tap device .*: Device or resource busy/, retryable: false },
  // libvirtd looks in its own network namespace.
  { failure: 'tap-missing', pattern: /target managed='no' but specified dev doesn't exist/, retryable: false },
  // Whoever attached it: the live XML tells.
  { failure: 'alias-taken', pattern: /non unique alias detected/, retryable: true },
  {
    failure: 'bad-device',
    pattern: /is not a valid device model name|XML error|unsupported configuration/,
    retryable: false,
  },
  { failure: 'device-absent', pattern: /no device found with alias|device not found/, retryable: true },
  { failure: 'unplug-pending', pattern: /already in the process of unplug/, retryable: true },
  { failure: 'guest-busy', pattern: /guest is busy \(power indicator blinking\)/, retryable: true },
  // Another job of the domain, such as a detach that waits for its guest, lasted longer than libvirt waits.
  { failure: 'domain-busy', pattern: /cannot acquire state change lock/, retryable: true },
  { failure: 'not-running', pattern: /domain is not running/, retryable: false },
  { failure: 'no-domain', pattern: /failed to get domain|Domain not found/i, retryable: false },
  {
    failure: 'no-daemon',
    pattern: /failed to connect to the hypervisor|Failed to connect socket|Connection refused/i,
    retryable: true,
  },
];

export interface ReadFailure {
  readonly failure: VirshFailure;
  readonly retryable: boolean;
  /** virsh's own words in one line, without the line that only names the file. */
  readonly message: string;
}

/** Reads standard error of a virsh that failed; what is not known is taken for final. */
export function readVirshFailure(stderr: string): ReadFailure {
  const row = rows.find(({ pattern }) => pattern.test(stderr));
  return { failure: row?.failure ?? 'unknown', retryable: row?.retryable ?? false, message: virshMessage(stderr) };
}

function virshMessage(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map((line) => line.replace(/^error: /, '').trim())
    .filter((line) => line !== '');
  const telling = lines.filter((line) => !/^Failed to (attach|detach) device/.test(line));
  return (telling.length > 0 ? telling : lines).join('; ').slice(0, 500) || 'it failed without a word';
}
