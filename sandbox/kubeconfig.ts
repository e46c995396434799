/** A kubeconfig for one user of one server. */
import { stringify } from 'yaml';

export interface Access {
  readonly server: string;
  /** PEM of the authority to trust. */
  readonly certificate: string;
  readonly token: string;
}

/** YAML; its context, cluster and user are all named `sandbox`. */
export function kubeconfigOf({ server, certificate, token }: Access): string {
  const name = 'sandbox';
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [
      { name, cluster: { server, 'certificate-authority-data': Buffer.from(certificate).toString('base64') } },
    ],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: 'default' } }],
  });
}
