// A fleet of VMs and their networks from a few lines.
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
// All functions build plain text with `+`: std.format, and with it `%`, is slow enough to be felt from a few hundred VMs on.
local apiVersion = 'patchpanel.dev/v1alpha1';

local hexDigits = '0123456789abcdef';
local hexByte(value) = hexDigits[std.floor(value / 16)] + hexDigits[value % 16];

// Leaves out fields that were not given.
local given(fields) = std.prune(fields);

local attachment(name, network, fields) = { name: name, network: network } + given(fields);

{
  // Names with a running number: names('web-', 3) is ['web-0', 'web-1', 'web-2'].
  names(prefix, count, first=0):: [prefix + (first + index) for index in std.range(0, count - 1)],

  // A MAC that is the same at each rendering: a locally administered prefix of three bytes, two bytes for the VM, one for
  // the NIC. Use one prefix per fleet, so that no MAC comes twice.
  mac(vm, nic, prefix='02:70:70')::
    assert vm >= 0 && vm < 65536 : 'mac: the number of the VM must be from 0 to 65535';
    assert nic >= 0 && nic < 256 : 'mac: the number of the NIC must be from 0 to 255';
    prefix + ':' + hexByte(std.floor(vm / 256)) + ':' + hexByte(vm % 256) + ':' + hexByte(nic),

  // A NIC on a bridge: plugged and unplugged live.
  bridge(name, network, mac=null, model=null, state=null)::
    attachment(name, network, { mac: mac, model: model, state: state }),

  // A NIC that is a virtual function of a real card: plugged by a live migration, never unplugged live.
  sriov(name, network, mac=null)::
    attachment(name, network, { binding: 'sriov', mac: mac }),

  // One VM. `target` is for a VM whose name is not that of the object.
  vm(name, namespace=null, attachments=[], pciePorts=null, target=null):: {
    apiVersion: apiVersion,
    kind: 'NetworkAttachments',
    metadata: { name: name } + given({ namespace: namespace }),
    spec: (if target == null then {} else { target: { kind: 'VirtualMachine', name: target } })
          + given({ pciePorts: pciePorts })
          + { attachments: attachments },
  },

  // Many VMs that are alike. `attachments` is a list, or a function of the name and the number of the VM; with MACs it
  // must be a function, since no two NICs may share one.
  fleet(names, namespace=null, attachments=[], pciePorts=null):: [
    $.vm(
      names[index],
      namespace,
      if std.isFunction(attachments) then attachments(names[index], index) else attachments,
      pciePorts,
    )
    for index in std.range(0, std.length(names) - 1)
  ],

  // Policy; only in a file at the root of the desired state.
  settings(maxInFlight=null, restart=null):: {
    apiVersion: apiVersion,
    kind: 'Settings',
    spec: given({ maxInFlight: maxInFlight, restart: restart }),
  },
}
