--- What stands in the way of a target that is missed, by the target's id (see targets.lua).

return {}
