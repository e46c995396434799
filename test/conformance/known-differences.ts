/** Recorded cases in which the sandbox is known to answer otherwise than kube-apiserver, and why that is left so. */

const notServed = 'names resources or subresources that the sandbox does not serve';
const noRbac = 'rights are decided by a function, which has no rules and gives no reasons';
const noCel = 'the server evaluates no CEL; the test refuses the same objects by a hook, in other words';
const controllers = 'needs the controllers of KubeVirt, which set annotations, finalizers and status';
const rawBytes = 'recorded as bytes on a connection, with headers that the sandbox does not send';
const unreachable = 'recorded with a kubelet that can not be reached; the sandbox has no kubelet to dial';

export const known: Readonly<Record<string, string>> = {
  'disc.core-v1': notServed,
  'disc.kubevirt-v1': notServed,
  'disc.subresources-v1': notServed,
  'disc.agg-api': notServed,
  'disc.openapi-v3-doc': 'recorded as names of paths and schemas; titles and schemas of the sandbox are its own',
  'disc.root': 'lists paths that the sandbox does not serve',
  'disc.livez-verbose': 'lists checks that the sandbox has no use for',
  'auth.ssar-allowed': noRbac,
  'auth.ssrr': noRbac,
  'auth.selfsubjectreview': 'users of the sandbox have neither a uid nor a token id',
  'auth.tokenrequest': 'tokens are given at the start, none are issued',
  'create.wrong-apiversion-cr': 'refused alike, but without a warning about a field of a version that is not served',
  'create.cel': noCel,
  'update.cel-transition': noCel,
  'create.pod': 'the recorded server mounts one more ConfigMap, of its distribution',
  'create.pod-onnode': 'the recorded server mounts one more ConfigMap, of its distribution',
  'get.protobuf-only-cr': 'the refusal is JSON, as the sandbox speaks no protobuf',
  'get.gzip-large': 'nothing is compressed on loopback',
  'http.keepalive': rawBytes,
  'watch.raw': rawBytes,
  'update.pod-immutable': 'refused alike, but without a diff of the Go structs in the message',
  'vm.get': controllers,
  'vm.table': controllers,
  'vm.v1alpha3': 'the definition of a resource holds no deprecation text of its own',
  'vm.delete': controllers,
  'exec.ws-unreachable-list': unreachable,
  'exec.ws-unreachable-v5': unreachable,
  'exec.ws-bad-proto': unreachable,
  'exec.ws-noproto': unreachable,
  'exec.ws-unreachable-v4': unreachable,
};
