/** Scenarios that a real kube-apiserver can not be brought to, each with its reason; a suite holds the list against runs. */
import { test } from 'node:test';
import { clusterKind } from './cluster-under-test.ts';

export const sandboxOnly: Readonly<Record<string, string>> = {
  'errors and cut watches slow a run down, no more': 'a healthy kube-apiserver refuses nothing and cuts no watch',
};

/** A test of a scenario in the list. @throws Error where it is not there */
export function sandboxTest(title: string, body: () => Promise<void>): void {
  const reason = sandboxOnly[title];
  if (reason === undefined) throw new Error(`"${title}" is not in the list of what only the sandbox can do`);
  void test(title, { skip: clusterKind === 'sandbox' ? false : reason }, body);
}
