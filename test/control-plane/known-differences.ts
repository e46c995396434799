/**
 * Recorded cases that kube-apiserver, as released and set up here, answers otherwise than the one that was recorded: a
 * distribution's build of v1.36.2, which had run for long, beside KubeVirt's operator. No behaviour of the API is among them.
 */

const otherBuild = 'tells of another build: its version, paths of its sources, or what its distribution adds';
const noOperator = 'needs what virt-operator and the controllers of KubeVirt add';
const rawBytes = 'recorded as bytes on a connection';
const noKubelet = 'recorded with a kubelet whose name can not be resolved; here nobody listens on its port';

export const knownOfUpstream: Readonly<Record<string, string>> = {
  'disc.version': otherBuild,
  'disc.version-noauth': otherBuild,
  'disc.root': otherBuild,
  'auth.ssrr': otherBuild,
  'create.wrong-apiversion': otherBuild,
  'create.pod': otherBuild,
  'create.pod-onnode': otherBuild,
  'update.pod-immutable': otherBuild,
  'del.bad-options': otherBuild,
  'disc.kubevirt-v1': noOperator,
  'disc.subresources-v1': noOperator,
  'vm.get': noOperator,
  'vm.table': noOperator,
  'vmi.table': noOperator,
  'vm.delete': noOperator,
  'http.keepalive': rawBytes,
  'watch.raw': rawBytes,
  'disc.openapi-v3-doc': 'recorded as names of paths and schemas',
  'get.gzip-large': 'compressed as recorded, which the replay does not undo',
  'watch.too-old-core': 'a server that has just started remembers all that it ever served',
  'exec.ws-unreachable-list': noKubelet,
  'exec.ws-unreachable-v5': noKubelet,
  'exec.ws-bad-proto': noKubelet,
  'exec.ws-noproto': noKubelet,
  'exec.ws-unreachable-v4': noKubelet,
};

/** Cases in which kube-apiserver does not always answer alike. */
export const varying: Readonly<Record<string, string>> = {
  'create.crd-validation': 'the causes come in any order, in the message too',
  'watch.bookmarks': 'a bookmark may come twice',
};
