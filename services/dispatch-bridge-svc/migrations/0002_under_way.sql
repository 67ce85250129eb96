-- What somebody dials: of it, a step that leaves the dispatch unknown changes no column of an index.
CREATE INDEX dispatches_dialled ON dispatch.dispatches (created_at) WHERE dispatch_id IS NULL AND status = 'dispatched';
-- What somebody follows, or has to.
CREATE INDEX dispatches_followed ON dispatch.dispatches (created_at)
  WHERE dispatch_id IS NOT NULL AND status IN ('dispatched', 'ringing', 'answered');
-- It named the step, and so made each step an entry in every index of the table.
DROP INDEX dispatch.dispatches_under_way;
