package peek
import ("testing";"time";"os/exec";"fmt")
func TestX(t *testing.T){
 c:=exec.Command("sleep","5"); c.Start(); defer c.Process.Kill()
 b:=time.Now(); p,err:=Filters(c.Process.Pid); fmt.Println(p,err,time.Since(b))
 b=time.Now(); p,err=Filters(c.Process.Pid); fmt.Println(p,err,time.Since(b))
 b=time.Now(); p,err=Filters(999999); fmt.Println(p,err,time.Since(b))
}
