/**
 * What a page of panels shows, as plain data: it is made by the engine, embedded into the page as JSON, and drawn there. Short
 * keys and left out defaults keep a fleet of thousands small.
 */

/** How an attachment stands: each has a sign, a word, a line of its own and a colour, in this order of urgency. */
export type CableState = 'blocked' | 'unplug' | 'plug' | 'change' | 'flight' | 'staged' | 'stays' | 'foreign';

interface Words {
  /** One character that stands for the state where there is no colour. */
  readonly sign: string;
  readonly word: string;
}

export const cableWords: Readonly<Record<CableState, Words>> = {
  blocked: { sign: '×', word: 'blocked' },
  unplug: { sign: '−', word: 'unplug' },
  plug: { sign: '+', word: 'plug' },
  change: { sign: '~', word: 'change' },
  flight: { sign: '»', word: 'in flight' },
  staged: { sign: '↻', word: 'at restart' },
  stays: { sign: '=', word: 'stays' },
  foreign: { sign: '·', word: 'unmanaged' },
};

/** What can be said of a VM or pod as a whole; one may be in several. The first is its badge. */
export type Facet =
  | 'failed'
  | 'interrupted'
  | 'blocked'
  | 'unplug'
  | 'plug'
  | 'change'
  | 'flight'
  | 'staged'
  | 'calm'
  /** Due by the change that the plan is of, or before it; only where two commits are compared. */
  | 'mine'
  | 'before';

interface FacetWords extends Words {
  /** Of the filter. */
  readonly label: string;
  /** Colour: that of the cable. */
  readonly tone: CableState;
}

/** In the order of filters, badges and of the list. */
export const facetWords: Readonly<Record<Facet, FacetWords>> = {
  mine: { sign: '◆', word: 'this change', label: 'This change', tone: 'flight' },
  before: { sign: '◇', word: 'due before', label: 'Due before', tone: 'stays' },
  failed: { sign: '×', word: 'failed', label: 'Failed', tone: 'blocked' },
  interrupted: { sign: '!', word: 'not finished', label: 'Not finished', tone: 'change' },
  blocked: { sign: '×', word: 'blocked', label: 'Blocked', tone: 'blocked' },
  unplug: { sign: '−', word: 'to unplug', label: 'To unplug', tone: 'unplug' },
  plug: { sign: '+', word: 'to plug', label: 'To plug', tone: 'plug' },
  change: { sign: '~', word: 'to change', label: 'Other change', tone: 'change' },
  flight: { sign: '»', word: 'in flight', label: 'In flight', tone: 'flight' },
  staged: { sign: '↻', word: 'waits', label: 'Waits', tone: 'staged' },
  calm: { sign: '=', word: 'as declared', label: 'As declared', tone: 'stays' },
};

export type JackState = 'used' | 'freed' | 'taken' | 'free' | 'fixed';

export const jackWords: Readonly<Record<JackState, string>> = {
  used: 'used',
  freed: 'to be freed',
  taken: 'to be used',
  free: 'free',
  fixed: 'not hot-pluggable',
};

/** One PCIe root port. */
export interface Jack {
  /** Index of the port, which is the PCI bus of what sits in it. */
  readonly at: number;
  readonly is: JackState;
  /** What sits in it, or will. */
  readonly what?: string;
}

export interface Cable {
  readonly name: string;
  readonly is: CableState;
  /** Index in the page's list of networks; left out for a default network. */
  readonly net?: number;
  /** Index of the port; left out where it is not known. */
  readonly to?: number;
  readonly mac?: string;
  /** What else there is to say in a few words. */
  readonly say?: string;
}

export interface Block {
  readonly code: string;
  readonly nic?: string;
  readonly text: string;
  readonly remedy?: string;
  /** Lines for the owner of the object, to be pasted there. */
  readonly paste?: string;
  readonly at?: string;
}

export interface Panel {
  readonly kind: 'VM' | 'pod';
  readonly ns: string;
  readonly name: string;
  /** Such as `running`. */
  readonly run?: string;
  readonly is: readonly Facet[];
  /** `file:line` of the declaration. */
  readonly at?: string;
  /** Since when it is so, ISO 8601. */
  readonly since?: string;
  readonly jacks?: readonly Jack[];
  /** Of the ports, in a line. */
  readonly ports?: string;
  /** In the order of the declaration. */
  readonly cables: readonly Cable[];
  readonly blocks?: readonly Block[];
  /** In the order of execution, each with its sign. */
  readonly steps?: readonly (readonly [sign: string, words: string])[];
  readonly notes?: readonly string[];
}

export interface RunRow {
  readonly at: string;
  readonly outcome: string;
  readonly commit: string;
  readonly what: string;
  readonly by: string;
}

export interface Picture {
  readonly kind: 'plan' | 'status';
  /** Repository or folder. */
  readonly source: string;
  readonly revision: string;
  /** When it was made, ISO 8601; the caller brings it. */
  readonly made: string;
  /** The outcome in a sentence. */
  readonly summary: string;
  /** Names and values under the headline. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  /** What is to be said of the fleet as a whole. */
  readonly notices: readonly string[];
  /** How the filter of those that need nothing is called here. */
  readonly calm: string;
  /** `namespace/name` of every network that a cable goes to. */
  readonly networks: readonly string[];
  /** Most urgent first, then by name. */
  readonly panels: readonly Panel[];
  /** Newest first. */
  readonly runs?: readonly RunRow[];
}
