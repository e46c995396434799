// The web servers are alike: a storage and a management NIC each, with MACs that follow from their numbers.
local pp = import 'patchpanel/fleet.libsonnet';
local networks = import 'lib/networks.libsonnet';

pp.fleet(
  pp.names('web-', 2),
  namespace='demo',
  attachments=function(vm, index) [
    pp.bridge('storage', networks.storage, mac=pp.mac(index, 0)),
    pp.bridge('mgmt', networks.management, mac=pp.mac(index, 1)),
  ],
)
