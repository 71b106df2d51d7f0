-- The log holds whether the registry names the champion, too: until then somebody has to finish it.

ALTER TABLE transitions
    DROP CONSTRAINT transitions_phase_check,
    ADD CONSTRAINT transitions_phase_check
        CHECK (phase IN ('requested', 'unconfirmed', 'failed', 'served', 'incomplete', 'completed', 'mirrored',
                         'noted'));
