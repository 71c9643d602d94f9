package bearer

import "context"
