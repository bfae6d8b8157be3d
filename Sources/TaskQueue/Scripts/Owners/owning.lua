-- Fair between owners. The owner of a job is who submitted it. The first that a queue hears of, OWNER, needs no entry anywhere: what is
-- theirs, with what is of no job, has its classes in CLASSES, and while there is nobody else all is as if there were no owners. The job of
-- another is in JOB_OWNERS. While any is, there are several owners: all but the first have classes of their own, and
--
--   USES     owner -> `memory millicores` of what nodes hold for them, what each of the two is divided by to be a share, the token of the
--            last that was given, and of each resource that is held for them ` gpu:3000/8000`: so much, and what that is divided by
--   USES_ENDED  what is to be taken away from that, since it has ended: see lessening.lua
--   OWNERS   those who have classes, by whose turn it is, see place_of
--
-- and of each life of a node whose tasks are in USES a key says so, `counted_key`.
--
-- Whatever enters or leaves what such a node holds changes USES, without USES_ENDED, by as much: by the memory and cores that are noted
-- with it, and by the resources that its job asks for now, see recounting.lua. A node is counted when it first asks after there came to be
-- several. In all of these the first owner is ''.

local has_owners
local function has_several()
  if has_owners == nil then has_owners = call('EXISTS', JOB_OWNERS) == 1 end
  return has_owners
end

local owners = {}
local function owner_of(of)
  if owners[of] == nil then owners[of] = of ~= '' and call('HGET', JOB_OWNERS, of) or '' end
  return owners[of]
end

local function classes_of(owner) return owner == '' and CLASSES or owner_key(owner) end

-- An owner of a job has classes from now on. Who takes the last of them says so, see sharing.lua.
-- uses later knowing

local function make_owner_known()
  if owner_of(job) ~= '' or has_several() then know_owner_of_job() end
end
