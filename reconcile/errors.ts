/**
 * What every failure of patchpanel is made of: a code, and from the code its exit status, whether a retry can help,
 * and the remedy. `docs/reference/errors.md` is generated from this table.
 *
 * Longer than 400 lines because the list is closed: it is one table, in one place.
 */

/** Exit codes of the command line; a Job's podFailurePolicy can tell them apart. */
export const exitCodes = {
  ok: 0,
  error: 1,
  changesPending: 2,
  badInput: 3,
  blocked: 4,
  partlyFailed: 5,
  lockHeld: 6,
  stalePlan: 7,
  interrupted: 8,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

interface ErrorRow {
  readonly exit: ExitCode;
  readonly retryable: boolean;
  /** When it happens, one sentence for the reference page. */
  readonly when: string;
  /** What the user can do about it. */
  readonly remedy: string;
}

const { error, badInput, blocked, lockHeld, stalePlan, interrupted, partlyFailed } = exitCodes;

/** The closed list of errors. Rows are sorted by code within their room. */
export const errorTable = {
  internal: {
    exit: error,
    retryable: false,
    when: 'patchpanel met a state that its own code rules out.',
    remedy: 'Report it with the output of the same command under PATCHPANEL_DEBUG=1.',
  },

  // --- command line
  'cli/usage': {
    exit: badInput,
    retryable: false,
    when: 'An option or argument is unknown, missing or malformed.',
    remedy: 'See `patchpanel <verb> --help`.',
  },
  'cli/input': {
    exit: badInput,
    retryable: false,
    when: 'A file or standard input that a verb reads is missing or unreadable.',
    remedy: 'Check the path, or pipe the input in.',
  },

  'cli/exists': {
    exit: badInput,
    retryable: false,
    when: 'A file that `adopt` would write is there already, with other content.',
    remedy: 'Choose another folder, or overwrite what is there with --force; git shows then what changed.',
  },

  // --- desired state: where it comes from
  'source/not-found': {
    exit: badInput,
    retryable: false,
    when: 'The folder, file or path of the desired state does not exist.',
    remedy: 'Check the path, or --path for a git source.',
  },
  'source/empty': {
    exit: badInput,
    retryable: false,
    when: 'The desired state holds no object at all; an empty render is never acted on.',
    remedy:
      'Nothing is unplugged for it. Check --path and that the files were committed. To let go of the last VM, declare it with attachments: [] and apply.',
  },
  'source/too-large': {
    exit: badInput,
    retryable: false,
    when: 'The repository, a file, or the number of files exceeds the limit.',
    remedy: 'Point --path at the desired state, or split it; docs/reference/desired-state.md lists the limits.',
  },
  'source/unsafe-path': {
    exit: badInput,
    retryable: false,
    when: 'A path in the repository is a link, leaves the repository, or is not portable.',
    remedy: 'Replace the link by the file it means.',
  },
  'source/unsupported-transport': {
    exit: badInput,
    retryable: false,
    when: 'The git URL is not http or https (ssh, git, file).',
    remedy: 'Use the https URL of the repository with a token, or clone it with git and pass the folder.',
  },
  'source/submodule': {
    exit: badInput,
    retryable: false,
    when: 'The path is, or leads into, a git submodule.',
    remedy:
      'Point the source at the submodule repository itself, or clone with git --recurse-submodules and pass the folder.',
  },
  'git/unknown-ref': {
    exit: badInput,
    retryable: false,
    when: 'The branch, tag or commit is not in the repository.',
    remedy: 'Check --ref; a short commit needs at least 7 digits and must be on an advertised branch or tag.',
  },
  'git/no-repository': {
    exit: badInput,
    retryable: false,
    when: 'A commit to compare with was named, and the folder lies in no git repository.',
    remedy: 'Run it in a clone, or give the URL of the repository as the source.',
  },
  'git/incomplete': {
    exit: badInput,
    retryable: false,
    when: 'The clone lacks the commit to compare with, or files of it: it is shallow, as CI makes them, or partial.',
    remedy:
      'Fetch what is missing: `git fetch --unshallow` or `git fetch --depth=1 origin COMMIT`; `fetch-depth: 0` in GitHub Actions, `GIT_DEPTH: 0` in GitLab CI.',
  },
  'git/unreachable': {
    exit: error,
    retryable: true,
    when: 'The git host does not answer, or the connection broke.',
    remedy: 'Check the URL, DNS, proxy variables and --ca-file; running again is safe.',
  },
  'git/timeout': {
    exit: error,
    retryable: true,
    when: 'The git host did not finish in time.',
    remedy: 'Raise --git-timeout, or check the host.',
  },
  'git/unauthorized': {
    exit: error,
    retryable: false,
    when: 'The git host refused the credentials, or wants some.',
    remedy: 'Give a token with read access: --git-token-file, or PATCHPANEL_GIT_TOKEN.',
  },
  'git/not-found': {
    exit: badInput,
    retryable: false,
    when: 'The git host knows no such repository, or hides it from these credentials.',
    remedy: 'Check the URL and what the token may read.',
  },
  'git/protocol': {
    exit: error,
    retryable: true,
    when: 'The host answered something that is not git.',
    remedy: 'Check that the URL is that of a repository.',
  },
  'git/redirect': {
    exit: badInput,
    retryable: false,
    when: 'The git host redirects to another host.',
    remedy: 'Give the URL that it redirects to, if you trust that host with the credentials.',
  },

  'git/app': {
    exit: error,
    retryable: false,
    when: 'GitHub refuses a token to the GitHub App.',
    remedy: 'Check the app, its installation and its key; docs/reference/trust.md says what it needs.',
  },

  // --- desired state: who it is from
  'trust/unsigned': {
    exit: badInput,
    retryable: false,
    when: 'Signatures are demanded, and the commit or the tag has none, or the ref is no annotated tag.',
    remedy: 'Sign the commit or the tag, and push it.',
  },
  'trust/bad-signature': {
    exit: badInput,
    retryable: false,
    when: 'A signature is over other content, malformed, too weak or of a kind that is not supported; or there are several.',
    remedy:
      'Do not apply it. Sign anew with an SSH key or OpenPGP; if it was right where it was made, find out who changed it since.',
  },
  'trust/unknown-signer': {
    exit: badInput,
    retryable: false,
    when: 'A signature is right, but its key is not among those that may sign, or was expired or revoked when it signed.',
    remedy: 'Add the key to those that may sign, if its owner may change these networks.',
  },
  'trust/unverifiable': {
    exit: badInput,
    retryable: false,
    when: 'Signatures are demanded of what can have none: a folder, or a saved plan.',
    remedy: 'Give the http(s) URL of the repository.',
  },
  'trust/repository': {
    exit: badInput,
    retryable: false,
    when: 'The policy of the platform owner lists repositories, and the source is none of them.',
    remedy: 'Check the URL; or have the owner of the platform add the repository to the policy.',
  },
  'trust/namespace': {
    exit: badInput,
    retryable: false,
    when: 'A VM, a pod or a network is outside of the namespaces that the policy gives the repository.',
    remedy:
      'Declare it in the repository that has the namespace; or have the owner of the platform add it to the policy.',
  },
  'trust/keys': {
    exit: badInput,
    retryable: false,
    when: 'The list of those who may sign can not be read, or is empty; a list that is not understood allows nobody.',
    remedy: 'Mend what the message names; docs/reference/trust.md shows both formats.',
  },

  // --- the policy of the platform owner
  'policy/missing': {
    exit: badInput,
    retryable: false,
    when: 'The ConfigMap of --policy-configmap is missing, or holds no Policy object; without the policy nothing is done.',
    remedy: 'Create it as docs/reference/brakes.md shows, or name the right one.',
  },

  // --- desired state: what it says
  'yaml/syntax': {
    exit: badInput,
    retryable: false,
    when: 'A file is not valid YAML.',
    remedy: 'Mend the place that the message shows.',
  },
  'yaml/duplicate-key': {
    exit: badInput,
    retryable: false,
    when: 'A mapping has one key twice.',
    remedy: 'Remove one of the two.',
  },
  'yaml/alias-bomb': {
    exit: badInput,
    retryable: false,
    when: 'Aliases expand beyond the limit.',
    remedy: 'Write the values out, or use Jsonnet.',
  },
  'schema/unknown-key': {
    exit: badInput,
    retryable: false,
    when: 'An object has a key that the schema does not know.',
    remedy: 'Remove it, or correct its spelling.',
  },
  'schema/invalid': {
    exit: badInput,
    retryable: false,
    when: 'A value has the wrong type or form.',
    remedy: 'See docs/reference/desired-state.md.',
  },
  'schema/unknown-kind': {
    exit: badInput,
    retryable: false,
    when: 'A document is not of a kind that patchpanel knows.',
    remedy:
      'Use apiVersion patchpanel.dev/v1alpha1 and kind NetworkAttachments or Settings; keep other manifests out of --path.',
  },
  'desired/duplicate-target': {
    exit: badInput,
    retryable: false,
    when: 'Two objects declare one VM, one pod, or the pods of one selector.',
    remedy: 'Merge them into one object.',
  },
  'desired/duplicate-name': {
    exit: badInput,
    retryable: false,
    when: 'Two attachments of a VM or pod have one name.',
    remedy: 'Rename one of them.',
  },
  'desired/interface': {
    exit: badInput,
    retryable: false,
    when: 'An attachment of a pod has no interface name of its own that the pod can take.',
    remedy: 'Declare interface: at most 15 characters, unique in the pod.',
  },
  'desired/duplicate-mac': {
    exit: badInput,
    retryable: false,
    when: 'One MAC address is declared twice in the fleet.',
    remedy: 'Give each attachment a MAC of its own.',
  },
  'desired/name-collision': {
    exit: badInput,
    retryable: false,
    when: 'Two attachment names of a VM hash to one pod interface name.',
    remedy: 'Rename one of them.',
  },
  'desired/duplicate-settings': {
    exit: badInput,
    retryable: false,
    when: 'There is more than one Settings object, or it is not at the root.',
    remedy: 'Keep one, at the root of the desired state.',
  },
  'jsonnet/unavailable': {
    exit: badInput,
    retryable: false,
    when: 'A .jsonnet file is to be rendered, but the Jsonnet addon is not installed.',
    remedy:
      'Install cmake and a C++17 compiler, then run `npm install @hanazuki/node-jsonnet`; or use the container image; or commit YAML.',
  },
  'jsonnet/syntax': {
    exit: badInput,
    retryable: false,
    when: 'A Jsonnet file does not parse.',
    remedy: 'Mend the place that the message shows.',
  },
  'jsonnet/runtime': {
    exit: badInput,
    retryable: false,
    when: 'A Jsonnet file fails while it is evaluated.',
    remedy: 'Follow the trace in the message.',
  },
  'jsonnet/timeout': {
    exit: badInput,
    retryable: false,
    when: 'A Jsonnet file did not finish in time.',
    remedy: 'Look for an endless recursion, or raise --jsonnet-timeout.',
  },
  'jsonnet/memory': {
    exit: badInput,
    retryable: false,
    when: 'A Jsonnet file needed more memory than allowed.',
    remedy: 'Look for an endless recursion, or raise --jsonnet-memory.',
  },
  'jsonnet/import': {
    exit: badInput,
    retryable: false,
    when: 'An import leaves the repository, is missing, or is not a plain path.',
    remedy: 'Import only files of the repository, by relative path, or the library by its name.',
  },

  // --- cluster
  'cluster/config': {
    exit: badInput,
    retryable: false,
    when: 'The kubeconfig is missing, unreadable, or has no such context.',
    remedy: 'Check --kubeconfig, KUBECONFIG and --context.',
  },
  'cluster/unreachable': {
    exit: error,
    retryable: true,
    when: 'The API server does not answer.',
    remedy: 'Check the server address and the network; running again is safe.',
  },
  'cluster/unauthorized': {
    exit: error,
    retryable: false,
    when: 'The API server refused the credentials (401).',
    remedy: 'Renew the token or certificate of the kubeconfig.',
  },
  'cluster/forbidden': {
    exit: error,
    retryable: false,
    when: 'The credentials lack a permission (403).',
    remedy: 'Grant the permission named in the message; docs/reference/rbac.md lists all that are needed.',
  },
  'cluster/api': {
    exit: error,
    retryable: true,
    when: 'The API server answered with an error.',
    remedy: 'Read the message; running again is safe.',
  },
  'cluster/conflict': {
    exit: error,
    retryable: true,
    when: 'Another writer changed the object at the same time.',
    remedy: 'Run again: patchpanel plans afresh from what is there.',
  },
  'cluster/no-kubevirt': {
    exit: error,
    retryable: false,
    when: 'The cluster serves no kubevirt.io/v1.',
    remedy: 'Install KubeVirt, or check --context.',
  },
  'cluster/not-found': {
    exit: badInput,
    retryable: false,
    when: 'The cluster has no VM or pod of the name that was given.',
    remedy: 'Check the name and --namespace, or write namespace/name; and --context for the cluster.',
  },
  'cluster/exec': {
    exit: error,
    retryable: true,
    when: 'A command in a container could not be run.',
    remedy: 'Check the pod and the permission for pods/exec; --domain-xml never does without.',
  },

  // --- what is read from the cluster or from a pipe
  'multus/annotation': {
    exit: error,
    retryable: false,
    when: 'A networks annotation can not be parsed.',
    remedy: 'Correct the annotation; write JSON with name, namespace and interface.',
  },
  'multus/annotation-crash': {
    exit: error,
    retryable: false,
    when: 'A networks annotation holds a null element, which crashes whatever parses it.',
    remedy: 'Remove the null from the list at once: Multus and the dynamic controller die of it.',
  },
  'multus/status': {
    exit: error,
    retryable: false,
    when: 'A network-status annotation can not be parsed.',
    remedy: 'It is written by Multus: look at the log of the Multus pod on that node.',
  },
  'libvirt/xml': {
    exit: error,
    retryable: false,
    when: 'The input is not the XML of a libvirt domain.',
    remedy: 'Pipe the output of `virsh dumpxml DOMAIN` in.',
  },

  // --- plan and apply
  'plan/blocked': {
    exit: blocked,
    retryable: false,
    when: 'Something stands in the way of a change; nothing was written for what it blocks.',
    remedy: 'Each blocker names its way out.',
  },
  'plan/format': {
    exit: badInput,
    retryable: false,
    when: 'A plan file is not a plan, or of another version.',
    remedy: 'Make it with `patchpanel plan -o json`.',
  },
  'plan/stale': {
    exit: stalePlan,
    retryable: false,
    when: 'What the plan was made from has changed since.',
    remedy: 'Make a new plan and look at it.',
  },
  'apply/timeout': {
    exit: partlyFailed,
    retryable: true,
    when: 'A layer did not come to agree with a change in time.',
    remedy:
      'Mend what the message names at that layer, and run again; a target that is held is tried again once its hold is lifted.',
  },
  'apply/not-attached': {
    exit: partlyFailed,
    retryable: false,
    when: 'libvirt in a pod, or the network namespace of the pod, refused a NIC of a domain.',
    remedy:
      'Mend what the message names, such as ports that ran out or a tap that another holds, then run again; what was begun was taken back, unless the message says otherwise.',
  },
  'apply/not-plugged': {
    exit: partlyFailed,
    retryable: true,
    when: 'The node reported that it could not plug a NIC into the pod, or take one out of it.',
    remedy:
      'Mend what the report says, such as the CNI config or its bridge on that node, and run again, where the target is held after lifting the hold.',
  },
  'apply/refused': {
    exit: partlyFailed,
    retryable: false,
    when: 'The API server refused a change: an admission webhook, or the schema.',
    remedy: 'Read its words in the message; the VM is as it was before this change.',
  },
  'apply/interrupted': {
    exit: interrupted,
    retryable: true,
    when: 'The run was told to stop; what was in flight was finished.',
    remedy: 'Run again: it goes on from what is there.',
  },

  // --- what keeps runs apart
  'run/locked': {
    exit: lockHeld,
    retryable: true,
    when: 'Another run holds the lock of the repository; this one has changed nothing.',
    remedy: 'Wait for the other run, or give --lock-timeout.',
  },
  'run/lock-lost': {
    exit: interrupted,
    retryable: true,
    when: 'The lock could not be renewed in time, or another run took it: nothing new is started.',
    remedy: 'Run again: it goes on from what is there. Look at the load and the network where it happens often.',
  },
  'run/no-record': {
    exit: badInput,
    retryable: false,
    when: 'There is no record of runs where it was looked for.',
    remedy: 'Check --record; `apply --record` with the same name writes it.',
  },

  // --- sandbox
  'sandbox/port': {
    exit: error,
    retryable: true,
    when: 'The sandbox can not listen on the port.',
    remedy: 'Choose another with --port, or 0 for any free one.',
  },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorTable;

/** A place in a source file; line and column count from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface ErrorDetails {
  readonly position?: Position;
  /** The source line at {@link ErrorDetails.position}, shown with a caret under the column. */
  readonly sourceLine?: string;
  /** Replaces the remedy of the table where more is known. */
  readonly remedy?: string;
  readonly cause?: unknown;
}

/** A failure that patchpanel expected: shown as message and remedy, never with a stack trace. */
export class PatchpanelError extends Error {
  readonly code: ErrorCode;
  readonly position: Position | undefined;
  readonly sourceLine: string | undefined;
  readonly remedy: string;
  readonly exitCode: ExitCode;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    const row: ErrorRow = errorTable[code];
    this.name = 'PatchpanelError';
    this.code = code;
    this.position = details.position;
    this.sourceLine = details.sourceLine;
    this.remedy = details.remedy ?? row.remedy;
    this.exitCode = row.exit;
    this.retryable = row.retryable;
  }
}

/** Several failures found in one pass, such as all faults of a repository; the exit code is that of the first. */
export class PatchpanelErrors extends AggregateError {
  declare readonly errors: PatchpanelError[];
  constructor(errors: readonly PatchpanelError[]) {
    super(errors, `${errors.length} problems found`);
    this.name = 'PatchpanelErrors';
  }
}

/** Whether a failure is one that patchpanel tells of in its own words. */
export function isExpected(error: unknown): error is PatchpanelError | PatchpanelErrors {
  return error instanceof PatchpanelError || error instanceof PatchpanelErrors;
}

/** Exit code of the process for a failure; of several, that of the first. */
export function exitCodeOf(error: PatchpanelError | PatchpanelErrors): ExitCode {
  if (error instanceof PatchpanelError) return error.exitCode;
  return error.errors[0]?.exitCode ?? exitCodes.error;
}
