// A fleet of VMs, or of pods, and their networks from a few lines.
//
//   local pp = import 'patchpanel/fleet.libsonnet';
//   pp.fleet(
//     pp.names('web-', 3),
//     namespace='prod',
//     attachments=function(vm, index) [
//       pp.bridge('storage', 'storage-net', mac=pp.mac(index, 0)),
//     ],
//   )
//
// What is not given is null, and patchpanel takes a field that is null as not given.
// All functions build plain text with `+`: std.format, and with it `%`, is slow enough to be felt from a few hundred VMs on.
local apiVersion = 'patchpanel.dev/v1alpha1';

// All bytes in hexadecimal: a look into a list is cheap, `%` is not.
local hexDigits = std.stringChars('0123456789abcdef');
local hexBytes = [high + low for high in hexDigits for low in hexDigits];

// One VM. `target` is for a VM whose name is not that of the object.
local vm(name, namespace=null, attachments=[], pciePorts=null, target=null, restart=null) = {
  apiVersion: apiVersion,
  kind: 'NetworkAttachments',
  metadata: {
    name: name,
    namespace: namespace,
  },
  spec: {
    target: { name: target },
    pciePorts: pciePorts,
    restart: restart,
    attachments: attachments,
  },
};

// NICs of one pod, called as the object unless `target` names it, or of the pods that have all labels of `selector`.
// `domain` is {name, container, uri} of a domain that libvirt runs in it.
local pod(name, namespace=null, attachments=[], target=null, selector=null, repair=null, domain=null) = {
  apiVersion: apiVersion,
  kind: 'NetworkAttachments',
  metadata: {
    name: name,
    namespace: namespace,
  },
  spec: {
    target: {
      kind: 'Pod',
      name: target,
      selector: if selector == null then null else { matchLabels: selector },
      domain: domain,
    },
    repair: repair,
    attachments: attachments,
  },
};

{
  // Names with a running number: names('web-', 3) is ['web-0', 'web-1', 'web-2'].
  names(prefix, count, first=0):: [prefix + (first + index) for index in std.range(0, count - 1)],

  // A MAC that is the same at each rendering: a locally administered prefix of three bytes, two bytes for the VM, one for
  // the NIC. Use one prefix per fleet, so that no MAC comes twice.
  mac(vm, nic, prefix='02:70:70')::
    assert vm >= 0 && vm < 65536 : 'mac: the number of the VM must be from 0 to 65535';
    assert nic >= 0 && nic < 256 : 'mac: the number of the NIC must be from 0 to 255';
    local high = std.floor(vm / 256);
    prefix + ':' + hexBytes[high] + ':' + hexBytes[vm - 256 * high] + ':' + hexBytes[nic],

  // A NIC on a bridge: plugged and unplugged live.
  bridge(name, network, mac=null, model=null, state=null):: {
    name: name,
    network: network,
    mac: mac,
    model: model,
    state: state,
  },

  // A NIC that is a virtual function of a real card: plugged by a live migration, never unplugged live.
  sriov(name, network, mac=null):: {
    name: name,
    network: network,
    binding: 'sriov',
    mac: mac,
  },

  // A NIC of a pod; `model` and `state` are for one whose pod has a domain.
  interface(name, network, interface=null, mac=null, ips=null, model=null, state=null):: {
    name: name,
    network: network,
    interface: interface,
    mac: mac,
    ips: ips,
    model: model,
    state: state,
  },

  vm:: vm,

  pod:: pod,

  // Many VMs that are alike. `attachments` is a list, or a function of the name and the number of the VM; with MACs it
  // must be a function, since no two NICs may share one.
  fleet(names, namespace=null, attachments=[], pciePorts=null, restart=null)::
    local of = if std.isFunction(attachments) then attachments else function(vm, index) attachments;
    std.mapWithIndex(function(index, name) vm(name, namespace, of(name, index), pciePorts, restart=restart), names),

  // Policy; only in a file at the root of the desired state.
  // `brakes` has further keys of the spec.
  settings(maxInFlight=null, restart=null, restartWindows=null, brakes={}):: {
    apiVersion: apiVersion,
    kind: 'Settings',
    spec: {
      maxInFlight: maxInFlight,
      restart: restart,
      restartWindows: restartWindows,
    } + brakes,
  },
}
